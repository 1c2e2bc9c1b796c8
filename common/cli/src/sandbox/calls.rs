//! The system calls that a thread may make. A call that is not allowed fails with
//! `EPERM`.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// The work of a thread, and so the system calls that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Receiving datagrams and connections. Sockets can be opened, files cannot.
    Receiving,
    /// Decoding images. Nothing can be opened.
    Decoding,
}

/// Forbids the calling thread, and all threads that it starts, the system calls
/// that no part of a program needs. `runs_programs` permits running other
/// programs.
pub(super) fn give_up(runs_programs: bool) -> Result<(), String> {
    let programs = [libc::SYS_execve, libc::SYS_execveat];
    let programs = programs.into_iter().filter(|_| !runs_programs);
    let rules = NEVER.into_iter().chain(programs);
    let rules = rules.map(|call| (call, Vec::new())).collect();
    apply(rules, SeccompAction::Allow, REFUSED).map_err(|error| error.to_string())
}

/// Restricts the calling thread, and all threads that it starts, to the system
/// calls of `work`.
pub(super) fn keep(work: Work) -> Result<(), Error> {
    let sockets = SOCKETS.iter().filter(|_| work == Work::Receiving);
    let calls = COMPUTING.iter().chain(sockets);
    let mut rules: Rules = calls.map(|call| (*call, Vec::new())).collect();
    // Memory can be had, but not executable memory.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let executable = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
        let not = SeccompCondition::new(PROTECTION, SeccompCmpArgLen::Dword, executable, 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![not])?]);
    }
    apply(rules, REFUSED, SeccompAction::Allow)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Installs a filter. `these` happens to system calls that match a rule, `others`
/// to all others.
fn apply(rules: Rules, others: SeccompAction, these: SeccompAction) -> Result<(), Error> {
    let arch = TargetArch::try_from(ARCH)?;
    let filter = SeccompFilter::new(rules, others, these, arch)?;
    apply_filter(&BpfProgram::try_from(filter)?)
}

/// A refused call fails as one without permission, so that libraries which can do
/// without it continue.
const REFUSED: SeccompAction = SeccompAction::Errno(libc::EPERM as u32);

/// The index of the argument of `mmap` and `mprotect` that is the protection.
const PROTECTION: u8 = 2;

/// System calls that concern other processes, namespaces, mounts, keys or the
/// kernel, or that bypass a filter.
const NEVER: [i64; 36] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Memory, time, locks, exit, and reading and writing what is open: what any
/// thread needs, besides `mmap` and `mprotect`.
const COMPUTING: [i64; 31] = [
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Sockets, and waiting for them.
const SOCKETS: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_fcntl,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_ioctl,
    libc::SYS_listen,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_socket,
];
