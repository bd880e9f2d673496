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
/// How often it is looked whether it has, while nothing else is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long what was written last may be under way, and how often a program that is waited for is
/// looked at.
const SOON: Duration = Duration::from_millis(200);
/// How much of its last words on standard error is repeated, in bytes.
const LAST_WORDS: usize = 1_000;

/// Ends everything in its group, itself included, when its input ends: that is when this process
/// has, however it did. The kernel of Linux could tell the shell so, but not what the shell starts.
const GUARD: &str = "read -r line; kill -9 0";

/// The running program. Dropped, its input ends; what has not ended soon after is killed, and so is
/// everything that it started.
pub(super) struct Process {
    child: Child,
    /// Leader of the group that the program is in.
    guard: Child,
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
        // A group of its own: what the shell starts ends with it. Ctrl-C is not heard there, hence a guard.
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = shell.process_group(group_of(&guard)).spawn();
        let mut child = started.inspect_err(|_| end(&mut guard))?;
        let (sender, lines) = sync_channel(1);
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || read_lines(output, &sender));
        }
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let heard = last_words.clone();
        let listener = child.stderr.take().map(|errors| std::thread::spawn(move || listen(errors, &heard)));
        let input = child.stdin.take();
        Ok(Self { child, guard, input, lines, last_words, listener, timeout })
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
        match self.next_line() {
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

    /// What it writes next, in time. A program that has ended writes nothing more, even where something
    /// that it started keeps its output open.
    fn next_line(&mut self) -> Result<std::io::Result<Line>, RecvTimeoutError> {
        let begun = Instant::now();
        loop {
            let left = self.timeout.saturating_sub(begun.elapsed());
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            match self.lines.recv_timeout(left.min(SOON)) {
                // Its last line had time to arrive.
                Err(RecvTimeoutError::Timeout) if ended => return Err(RecvTimeoutError::Disconnected),
                Err(RecvTimeoutError::Timeout) if left > SOON => {}
                line => return line,
            }
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
        while self.listener.as_ref().is_some_and(|listener| !listener.is_finished()) && begun.elapsed() < SOON
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
        self.wait(GRACE);
        end(&mut self.guard);
        let _ = self.child.wait();
    }
}

fn group_of(guard: &Child) -> libc::pid_t {
    // The numbers of processes are this type, which the library shows as one without a sign.
    guard.id() as libc::pid_t
}

/// Kills the group of `guard`.
fn end(guard: &mut Child) {
    // SAFETY: a system call without memory. The guard leads the group and has not been waited for, so that
    // its number belongs to nobody else.
    let _ = unsafe { libc::killpg(group_of(guard), libc::SIGKILL) };
    let _ = guard.wait();
}

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
