//! A machine in QEMU.

use crate::target::Target;
use anyhow::{anyhow, bail, Context};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Whether QEMU is here; otherwise what to install.
pub fn installed(target: &Target) -> anyhow::Result<()> {
    Command::new(target.qemu).arg("--version").output().map(drop).with_context(|| install(target))
}

fn install(target: &Target) -> String {
    let package = if target.qemu.ends_with("arm") { "qemu-system-arm" } else { "qemu-system-misc" };
    format!("{} does not start; on Debian: `apt-get install {package}`", target.qemu)
}

/// What a device says.
enum Said {
    Line(String),
    /// Bytes of the log of steps.
    Log(Vec<u8>),
}

/// The next line, or the bytes that a line announces; `None` at the end.
fn listen(output: &mut impl BufRead) -> std::io::Result<Option<Said>> {
    let mut line = Vec::new();
    if output.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
    let Some(len) = line.strip_prefix("log ").and_then(|len| len.parse::<u16>().ok()) else {
        return Ok(Some(Said::Line(line)));
    };
    let mut bytes = vec![0; len.into()];
    output.read_exact(&mut bytes)?;
    Ok(Some(Said::Log(bytes)))
}

/// A running machine. Dropping it stops it.
pub struct Machine {
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<Said>,
    log: Vec<u8>,
    deadline: Instant,
}

impl Machine {
    /// Starts the image `elf` with the words of `request` as its command line; after `timeout` the
    /// machine is stopped, because a guest can hang.
    pub fn start(target: &Target, elf: &Path, request: &[&str], timeout: Duration) -> anyhow::Result<Self> {
        let mut semihosting = String::from("enable=on,target=native");
        for word in request {
            semihosting.push_str(&format!(",arg={word}"));
        }
        let mut command = Command::new(target.qemu);
        // `-icount shift=0`: virtual time is the number of instructions executed, so timers count them and
        // nothing depends on the host's speed.
        command
            .args(["-machine", target.machine, "-nographic", "-monitor", "none", "-serial", "none"])
            // No character device for semihosting: QEMU's stdio device makes the input non-blocking, and the
            // guest's read of nothing would end the run.
            .args(["-semihosting-config", &semihosting])
            .args(["-icount", "shift=0"])
            .args(target.options)
            .arg("-kernel")
            .arg(elf);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| install(target))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| anyhow!("QEMU has no output"))?;
        let (sender, said) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Ok(Some(said)) = listen(&mut output) {
                if sender.send(said).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, input, said, log: Vec::new(), deadline: Instant::now() + timeout })
    }

    /// The next line that the device sends; `None` where it has stopped.
    pub fn line(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            match self.said.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
                Ok(Said::Line(line)) => return Ok(Some(line)),
                Ok(Said::Log(bytes)) => self.log.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => bail!("the image did not end in time: stopped after --timeout seconds, of which it may be given more"),
            }
        }
    }

    /// What has come of the log of steps.
    pub fn take_log(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.log)
    }

    /// Sends bytes to the device.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let input = self.input.as_mut().ok_or_else(|| anyhow!("the device does not listen"))?;
        input.write_all(bytes).and_then(|()| input.flush()).context("the device does not listen any more")
    }

    /// Waits for the machine, which has closed its output; an error with what QEMU said where the
    /// image did not end with success.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let mut messages = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut messages)?;
        }
        if !self.child.wait()?.success() {
            bail!("the image failed. {messages}");
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
