//! Histories from the sources straight to a file.

use super::{check_name, Hashing};
use crate::history::card::{card_path, Card, Returns, FORMAT_VERSION};
use crate::history::columns::{EncodedRows, Layout, Presence};
use crate::history::generate::{GenerateConfig, Plan, Tally};
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::{files, Error, Result};
use bytes::Bytes;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

/// Generates histories straight to `path`, and the card beside it. Memory holds a few row groups at
/// a time.
pub fn generate_to_file(config: &GenerateConfig, path: &Path, progress: &dyn Progress) -> Result<Card> {
    generate_on(&Ranks::alone(), config, path, progress)
}

/// Refuses a file that [`generate_on`] would replace though it is of another program: it has no card.
///
/// # Errors
/// [`Error::File`].
pub fn check_replaceable(path: &Path) -> Result<()> {
    if path.exists() && !card_path(path).exists() {
        let problem =
            "is there already and has no card: it is not replaced; remove it, or choose another name";
        return Err(Error::file(path, problem));
    }
    Ok(())
}

/// [`generate_to_file`] on several ranks, which must all call it: they encode the row groups in
/// turns, and rank 0 writes. The files are the same, byte for byte.
pub fn generate_on(
    ranks: &Ranks,
    config: &GenerateConfig,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Card> {
    check_name(path)?;
    let plan = Plan::new(config)?;
    let (begun, source_steps) = (Instant::now(), config.source_steps()?);
    progress.begin("generate", source_steps);
    let refuse = |e: parquet::errors::ParquetError| Error::file(path, format!("cannot be written: {e}"));
    let optimal_actions = match config.optimal_actions {
        true => Presence::Everywhere,
        false => Presence::Absent,
    };
    let interface = config.environment.interface()?;
    let layout = Layout::new(&interface, optimal_actions, Presence::Absent).map_err(refuse)?;
    let generator =
        Generator { held_out: plan.split.held_out.iter().copied().collect(), plan, layout, path, progress };
    let card = match ranks.is_first() {
        true => {
            let card = generator.write(ranks, config)?;
            ranks.broadcast_bytes(serde_json::to_vec(&card).map_err(|e| Error::file(path, e))?);
            card
        }
        false => {
            generator.send(ranks)?;
            serde_json::from_slice(&ranks.broadcast_bytes(Vec::new())).map_err(|e| Error::file(path, e))?
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    // Episodes that end before the horizon have fewer.
    let source_steps = card.source_steps.unwrap_or(source_steps);
    let rate = source_steps as f64 / seconds;
    let rate = match rate < 1e6 {
        true => format!("{:.0} thousand", rate / 1e3),
        false => format!("{:.1} million", rate / 1e6),
    };
    progress.finish(&format!("{source_steps} steps in {seconds:.1} s, {rate} per second"));
    Ok(card)
}

/// Generates and encodes row groups.
struct Generator<'a> {
    plan: Plan<'a>,
    held_out: HashSet<u32>,
    layout: Layout,
    path: &'a Path,
    progress: &'a dyn Progress,
}

/// A row group, and what the card says about it.
struct Encoded {
    rows: EncodedRows,
    returns: Returns,
    tally: Tally,
    steps: u64,
}

impl Generator<'_> {
    fn encode(&self, chunk: &Range<usize>) -> Result<Encoded> {
        let (histories, tally) = self.plan.record(chunk.clone(), self.progress)?;
        let mut returns = Returns::default();
        for history in &histories.index {
            returns.add(&histories.steps, history.steps.clone(), self.held_out.contains(&history.task));
        }
        let rows = self.layout.encode(&histories, self.plan.source()).map_err(|e| self.refuse(e))?;
        Ok(Encoded { rows, returns, tally, steps: histories.steps.len() as u64 })
    }

    /// This rank's chunks, a few at a time in parallel, in their order.
    fn encode_own(
        &self,
        ranks: &Ranks,
        chunks: &[Range<usize>],
    ) -> impl Iterator<Item = Result<Encoded>> + '_ {
        let own: Vec<Range<usize>> =
            chunks.iter().skip(ranks.rank()).step_by(ranks.count()).cloned().collect();
        let waves: Vec<_> = own.chunks(2 * rayon::current_num_threads()).map(<[_]>::to_vec).collect();
        waves.into_iter().flat_map(|wave| {
            let encoded: Vec<Result<Encoded>> = wave.par_iter().map(|chunk| self.encode(chunk)).collect();
            encoded
        })
    }

    /// Writes the file and its card, on rank 0.
    fn write(&self, ranks: &Ranks, config: &GenerateConfig) -> Result<Card> {
        let (path, plan) = (self.path, &self.plan);
        let chunks = plan.chunks();
        let mut own = self.encode_own(ranks, &chunks);
        let (mut returns, mut tally) = (Returns::default(), Tally::default());
        let mut steps = 0;
        let sha256 = files::write_atomically(path, |file| {
            let hashing = Hashing { sink: file, digest: Sha256::new() };
            let mut file = self.layout.file_writer(hashing).map_err(|e| self.refuse(e))?;
            for (number, chunk) in chunks.iter().enumerate() {
                let encoded = match number % ranks.count() {
                    0 => own.next().transpose()?,
                    rank => {
                        self.progress
                            .advance(plan.source_steps(chunk), &|| format!("steps of {}", plan.source()));
                        Some(self.receive(&ranks.receive(rank))?)
                    }
                };
                let Some(encoded) = encoded else { break };
                encoded.rows.splice(&mut file).map_err(|e| self.refuse(e))?;
                returns.merge(&encoded.returns);
                tally.merge(encoded.tally);
                steps += encoded.steps;
            }
            Ok(files::hexadecimal(file.into_inner().map_err(|e| self.refuse(e))?.digest.finalize()))
        })?;
        let mut card = Card {
            format_version: FORMAT_VERSION,
            environment: config.environment.clone(),
            environment_name: None,
            interface: config.environment.interface()?,
            generation: Some(config.clone()),
            split: plan.split.clone(),
            histories: plan.histories(),
            steps,
            source_steps: Some(tally.steps),
            solved_share: tally.solved_share(),
            median_steps_to_solve: tally.median_steps_to_solve(),
            returns: returns.windows(),
            filters: Vec::new(),
            sha256,
            card_sha256: String::new(),
        };
        card.write(path)?;
        Ok(card)
    }

    /// Sends this rank's row groups to rank 0.
    fn send(&self, ranks: &Ranks) -> Result<()> {
        for encoded in self.encode_own(ranks, &self.plan.chunks()) {
            let Encoded { rows, returns, tally, steps } = encoded?;
            let header =
                postcard::to_allocvec(&(steps, returns, tally)).map_err(|e| Error::file(self.path, e))?;
            let rows = rows.into_file(&self.layout).map_err(|e| self.refuse(e))?;
            let message = [&(header.len() as u64).to_le_bytes()[..], &header, &rows].concat();
            ranks.send_to_first(&message);
        }
        Ok(())
    }

    /// Takes apart what [`Generator::send`] sent.
    fn receive(&self, message: &[u8]) -> Result<Encoded> {
        let damaged = || Error::file(self.path, "cannot be written: another rank sent what is no row group");
        let (length, rest) = message.split_first_chunk().ok_or_else(damaged)?;
        let (header, rows) =
            rest.split_at_checked(u64::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
        let (steps, returns, tally) = postcard::from_bytes(header).map_err(|_| damaged())?;
        let rows = EncodedRows::from_file(Bytes::copy_from_slice(rows)).map_err(|e| self.refuse(e))?;
        Ok(Encoded { rows, returns, tally, steps })
    }

    fn refuse(&self, error: parquet::errors::ParquetError) -> Error {
        Error::file(self.path, format!("cannot be written: {error}"))
    }
}
