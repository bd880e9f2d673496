//! A program that answers each line of its standard input by a line of its standard output.

use crate::serve::MAX_LINE;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{sleep, JoinHandle};
use std::time::{Duration, Instant};

/// How long a program whose input has ended may take to end.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How much of its last words on standard error is repeated, in bytes.
const LAST_WORDS: usize = 1_000;

/// The running program. Dropped, its input ends; what has not ended soon after is killed, with
/// everything that it started.
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<std::io::Result<Line>>,
    last_words: Arc<Mutex<Vec<u8>>>,
    listener: Option<JoinHandle<()>>,
    timeout: Duration,
}

/// What was read from its standard output.
enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl Process {
    /// Starts `command` with `sh -c`. Each answer may take as long as `timeout`.
    ///
    /// # Errors
    /// Where there is no shell, or no process can be started.
    pub fn start(command: &str, timeout: Duration) -> std::io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: what the shell starts ends with it.
        shell.process_group(0);
        end_with_this_thread(&mut shell);
        let mut child = shell.spawn()?;
        let (sender, lines) = sync_channel(1);
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || read_lines(output, &sender));
        }
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let heard = last_words.clone();
        let listener = child.stderr.take().map(|errors| std::thread::spawn(move || listen(errors, &heard)));
        let input = child.stdin.take();
        Ok(Self { child, input, lines, last_words, listener, timeout })
    }

    /// The answer to `request`, both without the end of the line.
    ///
    /// # Errors
    /// What was said or done in place of an answer, and what to do.
    pub fn ask(&mut self, request: &str) -> Result<Vec<u8>, String> {
        let Some(input) = &mut self.input else { return Err("it has ended".into()) };
        if let Ok(Ok(Line::Whole(line))) = self.lines.try_recv() {
            let line = String::from_utf8_lossy(&line);
            return Err(format!("before, it had written a line that it was not asked for: {line:.200}"));
        }
        match input.write_all(format!("{request}\n").as_bytes()).and_then(|()| input.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(self.how_it_ended()),
            Err(error) => return Err(format!("its standard input cannot be written: {error}")),
        }
        match self.lines.recv_timeout(self.timeout) {
            Ok(Ok(Line::Whole(line))) => Ok(line),
            Ok(Ok(Line::TooLong)) => Err(format!("its answer is a line of more than {MAX_LINE} bytes")),
            Ok(Err(error)) => Err(format!("its standard output cannot be read: {error}")),
            Err(RecvTimeoutError::Disconnected) => Err(self.how_it_ended()),
            Err(RecvTimeoutError::Timeout) => Err(format!(
                "no answer within {} s: the program must write a line for each request and flush it (in Python \
                 print(..., flush=True)); where it needs longer, allow that with --environment-timeout",
                self.timeout.as_secs_f64()
            )),
        }
    }

    /// Of a program that does not listen or speak any more.
    fn how_it_ended(&mut self) -> String {
        self.input = None;
        let ended = match self.wait(GRACE) {
            Some(status) => format!("it ended ({})", in_words(status)),
            None => "it closed its standard input or output".into(),
        };
        // What it said last may still be under way.
        let begun = Instant::now();
        while self.listener.as_ref().is_some_and(|listener| !listener.is_finished())
            && begun.elapsed() < GRACE / 10
        {
            sleep(LOOK_EVERY);
        }
        let said = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&said).trim() {
            "" => format!("{ended} and wrote nothing to standard error"),
            words => format!("{ended}; its last words on standard error:\n{words}"),
        }
    }

    /// How it ended, if it does within `most`.
    fn wait(&mut self, most: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if begun.elapsed() < most => sleep(LOOK_EVERY),
                _ => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        let ended = self.wait(GRACE).is_some();
        if let (false, Ok(group)) = (ended, i32::try_from(self.child.id())) {
            // SAFETY: a system call without memory. The group is the child's own, see `start`; it has not
            // been waited for, so that its number belongs to nobody else.
            let _ = unsafe { libc::killpg(group, libc::SIGKILL) };
            let _ = self.child.wait();
        }
    }
}

/// A program that hangs must not outlive Ctrl-C, which its group does not hear.
#[cfg(target_os = "linux")]
fn end_with_this_thread(shell: &mut Command) {
    // SAFETY: a system call without memory.
    let ask = || match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: between fork and exec only what is safe in a handler of signals may be called; this is one
    // system call, without memory.
    unsafe { shell.pre_exec(ask) };
}

/// Only Linux tells a program of the end of whoever started it: elsewhere the end of its input must
/// do.
#[cfg(not(target_os = "linux"))]
fn end_with_this_thread(_shell: &mut Command) {}

fn in_words(status: ExitStatus) -> String {
    match status.code() {
        Some(127) => "exit status 127: the shell did not find it".into(),
        _ => status.to_string(),
    }
}

/// Sends each line of `output` on, until there are no more or nobody listens.
fn read_lines(output: ChildStdout, sender: &SyncSender<std::io::Result<Line>>) {
    let mut output = BufReader::new(output);
    loop {
        let line = match read_line(&mut output) {
            Ok(None) => return,
            Ok(Some(line)) => Ok(line),
            Err(error) => Err(error),
        };
        if sender.send(line).is_err() {
            return;
        }
    }
}

/// The next line; `None` at the end. What ends without the end of a line is none.
fn read_line(output: &mut impl BufRead) -> std::io::Result<Option<Line>> {
    let mut line = Vec::new();
    output.take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(Some(Line::Whole(line))),
        Some(_) if line.len() >= MAX_LINE => Ok(Some(Line::TooLong)),
        _ => Ok(None),
    }
}

/// Passes `errors` on to standard error, and keeps the end of it.
fn listen(mut errors: ChildStderr, last_words: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        let read = match errors.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        // Where nobody can be told, the work goes on.
        let _ = std::io::stderr().write_all(read);
        let mut kept = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(read);
        let surplus = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..surplus);
    }
}
