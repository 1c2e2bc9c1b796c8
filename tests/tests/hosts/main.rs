//! Several hosts on one machine, or several clocks, in namespaces that only root may create.
//! Without root these tests are reported as ignored.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod addresses;
mod clocks;
mod dropping;
mod names;
mod one_to_many;
mod outages;
mod path_mtu;
mod pull;
mod sharing;
mod tcp;
mod two_hosts;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// The tests: a module and its functions.
macro_rules! tests {
    ($($module:ident { $($name:ident)* })*) => {
        [$($((
            concat!(stringify!($module), "::", stringify!($name)),
            $module::$name as fn(),
        ),)*)*]
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let hosts = nix::unistd::geteuid().is_root();
    let clocks = hosts && clocks::are_there();
    if !hosts && !arguments.list {
        eprintln!("not run: namespaces need root");
    }
    let tests = tests! {
        addresses {
            an_own_address_is_no_broadcast_address_for_want_of_one
            a_sender_whose_address_changes_goes_on
            a_viewer_that_asked_and_whose_address_changes_goes_on
            a_group_goes_on_when_addresses_change_on_either_side
            a_viewer_that_has_a_name_is_found_at_its_new_address
            a_sender_that_has_a_name_is_asked_at_its_new_address
            a_sender_that_announces_itself_is_asked_at_its_new_address
        }
        clocks {
            two_clocks_set_apart_are_told_from_one_and_joined_within_the_uncertainty
        }
        dropping {
            what_a_filter_drops_is_lost_on_the_way_to_the_last_packet_that_it_counts
            an_end_that_is_lost_on_the_way_is_unknown_and_all_before_it_exact
            what_the_senders_own_system_refuses_was_not_sent_and_is_no_loss
            a_sender_whose_every_datagram_is_refused_fails_and_says_why
            a_sender_without_a_route_fails_and_says_why
        }
        names {
            names_that_would_do_more_than_be_read_are_not_listed
            forged_answers_leave_an_announced_sender_as_small_as_it_was
            questions_are_answered_to_the_group_alone
            an_announced_sender_does_not_tell_its_streams_number
        }
        one_to_many {
            a_group_reaches_three_viewers_at_the_price_of_one
            a_group_with_a_key_is_open_to_latecomers_who_have_it
            rtp_and_bare_jpeg_reach_a_group_too
            a_broadcast_reaches_three_viewers_at_the_price_of_one
            several_destinations_each_get_the_stream
            a_group_reaches_as_far_as_it_is_told_to
        }
        outages {
            without_network_for_a_while
            without_network_for_a_while_where_the_viewer_asked
        }
        path_mtu {
            jumbo_frames_are_used_where_they_pass
            a_path_that_silently_carries_less_from_the_start_shows_every_frame
            the_picture_is_back_within_a_second_when_a_path_silently_carries_less
        }
        pull {
            a_sender_is_found_by_its_name
            without_multicast_names_are_not_looked_for_and_addresses_work
            nothing_that_could_be_sent_is_a_failure
            a_viewer_behind_a_nat_gets_the_stream
        }
        sharing {
            a_slow_viewer_gets_a_second_encoding_and_another_what_it_gets_alone
        }
        tcp {
            a_stream_passes_where_no_udp_does
            over_a_path_with_loss_tcp_delivers_every_sent_frame_complete
        }
        two_hosts {
            every_file_arrives_complete_without_ip_fragments
            large_frames_arrive_complete_over_ipv4_and_ipv6
            large_datagrams_are_cut_by_ip_only_when_they_are_asked_for
            a_path_of_smaller_packets_gets_smaller_datagrams
            a_group_reaches_its_viewers
            a_broadcast_reaches_the_viewer
            the_viewer_tells_the_command_that_reaches_it
            an_unreachable_network_does_not_end_a_stream_that_runs
            what_the_senders_own_firewall_refuses_is_not_blamed_on_the_network
        }
    };
    let trials = tests.map(|(name, run)| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
        .with_ignored_flag(if name.starts_with("clocks::") {
            !clocks
        } else {
            !hosts
        })
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
