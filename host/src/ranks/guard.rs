//! The guard of a rank: a parent process that tells the launcher what became of it.
//!
//! A rank that is killed (most often by the system, for want of memory) cannot say so itself, and
//! `mpirun` would end with 128 plus the signal. So the process that the launcher starts forks, its
//! child is the rank, and the guard sleeps until the child ends: it passes on its exit status, and
//! makes of a signal a message and status 1, upon which the launcher ends all other ranks. Should
//! the guard itself be killed, the kernel kills the rank, and the launcher reports the guard's
//! signal.

#![allow(unsafe_code)]

use super::Launched;
use std::io::Write;
use std::process::exit;

/// Signals that a launcher sends to end a run, and that the rank gets as well.
const STOPS: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// Returns in a child of this process, which is the rank from now on. To be called while there is
/// one thread. Where no process can be made, the rank does without a guard.
pub fn watch(launched: Launched, advice: &str) {
    // SAFETY: plain calls of the C library on values of this frame. The child of `fork` may go on like
    // its parent, because the parent has one thread.
    unsafe {
        let mut signals = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigemptyset(&mut signals);
        for signal in STOPS.into_iter().chain([libc::SIGCHLD]) {
            libc::sigaddset(&mut signals, signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &signals, &mut before);
        let parent = libc::getpid();
        match libc::fork() {
            0 => {
                #[cfg(target_os = "linux")]
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                if libc::getppid() != parent {
                    exit(1);
                }
                libc::sigprocmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
            }
            child if child > 0 => Guard { launched, advice, signals, child }.run(),
            _ => {
                libc::sigprocmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
            }
        }
    }
}

struct Guard<'a> {
    launched: Launched,
    advice: &'a str,
    signals: libc::sigset_t,
    child: libc::pid_t,
}

impl Guard<'_> {
    fn run(&self) -> ! {
        // Who looks for the ranks by the program's name shall not find the guards.
        #[cfg(target_os = "linux")]
        // SAFETY: a string that ends with 0 and lives longer than the call.
        unsafe {
            libc::prctl(libc::PR_SET_NAME, c"rank-guard".as_ptr());
        }
        let mut stopped = false;
        loop {
            let mut signal = 0;
            // SAFETY: both point to valid values.
            unsafe { libc::sigwait(&self.signals, &mut signal) };
            if STOPS.contains(&signal) {
                stopped = true;
                // SAFETY: a child that was not waited for keeps its number.
                unsafe { libc::kill(self.child, signal) };
                continue;
            }
            let mut status = 0;
            // SAFETY: as before.
            if unsafe { libc::waitpid(self.child, &mut status, libc::WNOHANG) } != self.child {
                continue;
            }
            if libc::WIFEXITED(status) {
                exit(libc::WEXITSTATUS(status));
            }
            if libc::WIFSIGNALED(status) {
                self.say(libc::WTERMSIG(status), stopped);
                exit(1);
            }
        }
    }

    fn say(&self, signal: libc::c_int, stopped: bool) {
        // Of many survivors two are enough: one of them may be the lost rank.
        if stopped && self.launched.rank > 1 {
            return;
        }
        let count = self.launched.count.map_or(String::new(), |count| format!(" of {count}"));
        let advice = self.advice;
        let what = match (stopped, signal) {
            (true, _) => "stopped, because another rank failed or the whole run was ended".to_owned(),
            (false, libc::SIGKILL) => {
                format!("was lost: it was killed (signal 9), by somebody or because the machine ran out of memory; {advice}")
            }
            (false, signal) => format!("was lost: it was ended by signal {signal}; {advice}"),
        };
        let text = format!("error: rank {}{count} {what}\n", self.launched.rank);
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
