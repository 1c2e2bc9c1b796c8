use super::super::search::Search;
use super::*;

const MS: Duration = Duration::from_millis(1);
const NOW: Duration = Duration::from_secs(100);

fn responder(host: u64) -> Responder {
    let mut responder = Responder::new("kitchen", host, 5005, NOW);
    responder.handle_networks(&[(2, vec![[192, 0, 2, 1].into()])], NOW);
    responder
}

/// The messages sent between `from` and `until`, each with its time.
fn said(responder: &mut Responder, from: Duration, until: Duration) -> Vec<(Duration, Vec<u8>)> {
    let (mut now, mut out, mut said) = (from, Vec::new(), Vec::new());
    while now <= until {
        while responder.poll_transmit(now, &mut out).is_some() {
            said.push((now - from, out.clone()));
        }
        let due = responder.poll_timeout().unwrap_or(Duration::MAX);
        now = due.max(now + MS);
    }
    said
}

fn told() -> Responder {
    let mut responder = responder(1);
    said(&mut responder, NOW, NOW + 10_000 * MS);
    responder
}

fn question() -> Vec<u8> {
    let (mut search, mut out) = (Search::new(None, NOW), Vec::new());
    assert!(search.poll_transmit(NOW, &mut out));
    out
}

#[test]
fn probes_for_its_name_then_announces_it_and_is_silent() {
    let said = said(&mut responder(1), NOW, NOW + 60_000 * MS);
    let times: Vec<_> = said.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 250, 500, 750, 1_750]);
    let responses = said.iter().map(|(_, bytes)| bytes[2] & 0x80 != 0);
    let responses: Vec<_> = responses.collect();
    assert_eq!(responses, [false, false, false, true, true]);
}

#[test]
fn answers_queries_at_most_once_per_second() {
    let mut responder = told();
    let begun = NOW + 20_000 * MS;
    for ask in 0..100 {
        let now = begun + ask * MS;
        assert_eq!(responder.handle_datagram(2, &question(), now), None);
    }
    let answers = said(&mut responder, begun, begun + 500 * MS);
    assert_eq!(answers.len(), 1);
    responder.handle_datagram(2, &question(), begun + 600 * MS);
    let answers = said(&mut responder, begun + 600 * MS, begun + 3_000 * MS);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].0 >= 400 * MS);
    // Datagrams that do not concern it.
    responder.handle_datagram(3, &question(), begun + 5_000 * MS);
    responder.handle_datagram(2, b"noise", begun + 5_000 * MS);
    assert!(said(&mut responder, begun + 5_000 * MS, begun + 9_000 * MS).is_empty());
}

#[test]
fn its_stream_is_found_and_disappears_after_its_goodbye() {
    let mut responder = told();
    responder.handle_datagram(2, &question(), NOW + 20_000 * MS);
    let answers = said(&mut responder, NOW + 20_000 * MS, NOW + 21_000 * MS);
    let mut search = Search::new(None, NOW);
    search.handle_datagram(2, &answers[0].1);
    let senders: Vec<_> = search.senders().iter().collect();
    let address = "192.0.2.1:5005".parse().unwrap();
    assert_eq!(senders, [(&"kitchen".to_owned(), &address)]);
    let mut out = Vec::new();
    assert!(responder.leave(&mut out));
    search.handle_datagram(2, &out);
    assert!(search.senders().is_empty());
}

#[test]
fn of_two_senders_with_one_name_one_is_renamed() {
    let mut both = [responder(1), responder(2)];
    let mut out = Vec::new();
    let mut changes = Vec::new();
    for at in 0..10_000 {
        let now = NOW + at * MS;
        for own in 0..2 {
            while both[own].poll_transmit(now, &mut out).is_some() {
                // Each responder also hears itself.
                for responder in &mut both {
                    changes.extend(responder.handle_datagram(2, &out, now));
                }
            }
        }
    }
    assert_eq!(changes, ["kitchen (2)"]);
    let names = both.map(|one| one.name());
    assert!(names.contains(&"kitchen".into()) && names.contains(&"kitchen (2)".into()));
}

#[test]
fn queries_for_the_name_get_few_answers() {
    let mut responder = told();
    let begun = NOW + 20_000 * MS;
    let (mut out, mut answers) = (Vec::new(), Vec::new());
    Responder::new("kitchen", 9, 5005, begun)
        .probe()
        .encode(&mut out);
    let probe = out.clone();
    for at in 0..1_000 {
        let now = begun + at * MS;
        assert_eq!(responder.handle_datagram(2, &probe, now), None);
        while responder.poll_transmit(now, &mut out).is_some() {
            answers.push(at);
        }
    }
    assert_eq!(answers, [0, 250, 500, 750]);
}

#[test]
fn conflicts_over_every_name_end_after_a_bound() {
    let mut responder = told();
    let (mut now, mut changes) = (NOW + 20_000 * MS, 0);
    for _ in 0..1_000 {
        let rival = Responder::new(&responder.name(), 9, 1, now);
        let mut out = Vec::new();
        rival.answer(&[], HOST_TTL, OTHER_TTL).encode(&mut out);
        changes += u32::from(responder.handle_datagram(2, &out, now).is_some());
        now += 100 * MS;
    }
    assert_eq!(changes, MAX_CHANGES);
    assert!(!said(&mut responder, now, now + 5_000 * MS).is_empty());
}

#[test]
fn received_messages_grow_neither_its_memory_nor_its_answers() {
    let mut responder = told();
    let mut rng = fastrand::Rng::with_seed(6);
    let mut begun = NOW + 20_000 * MS;
    for _ in 0..20_000 {
        let mut bytes = question();
        let at = rng.usize(..bytes.len());
        bytes[at] = rng.u8(..);
        responder.handle_datagram(2, &bytes, begun);
        begun += Duration::from_micros(50);
    }
    assert_eq!(responder.networks.len(), 1);
    let answers = said(&mut responder, begun, begun + 5_000 * MS);
    assert!(answers.len() <= 2);
    assert!(answers.iter().all(|(_, bytes)| bytes.len() < 400));
}

#[test]
fn new_addresses_are_news() {
    let mut responder = told();
    let now = NOW + 20_000 * MS;
    responder.handle_networks(&[(2, vec![[192, 0, 2, 1].into()])], now);
    assert!(said(&mut responder, now, now + 5_000 * MS).is_empty());
    responder.handle_networks(&[(2, vec![[192, 0, 2, 9].into()])], now + 6_000 * MS);
    assert_eq!(
        said(&mut responder, now + 6_000 * MS, now + 9_000 * MS).len(),
        2
    );
    // A new network is probed first.
    let now = now + 60_000 * MS;
    let both = [192, 198].map(|net| (net.into(), vec![[net, 0, 2, 9].into()]));
    responder.handle_networks(&both, now);
    let said = said(&mut responder, now, now + 9_000 * MS);
    let asked = said.iter().filter(|(_, bytes)| bytes[2] & 0x80 == 0);
    assert_eq!((said.len(), asked.count()), (10, 6));
}
