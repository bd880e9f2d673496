//! Files of learning histories: Parquet with a card beside it.

use super::card::{card_path, Card, Returns, FORMAT_VERSION};
use super::columns::{EncodedRows, Kind, Layout, OptimalActions, Reader, Rows};
use super::generate::{GenerateConfig, Plan, Tally};
use super::{Histories, History, Steps};
use crate::environment::{shuffle, EnvironmentConfig, TaskSplit};
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::{files, Error, Result};
use algodistill_core::interface::{
    MAX_ACTIONS, MAX_CHANNELS, MAX_CHANNEL_SIZE, MAX_ENCODERS, MAX_PIXEL_BYTES, MAX_REWARD_LEVELS,
    MAX_VECTOR_SIZE,
};
use algodistill_core::{Channel, Interface, PortableRng};
use bytes::Bytes;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Largest Parquet file that is read: it is decoded in memory.
const MAX_PARQUET_BYTES: u64 = 16 << 30;

/// Generates histories straight to `path`, and the card beside it. Memory holds a few row groups at
/// a time.
pub fn generate_to_file(config: &GenerateConfig, path: &Path, progress: &dyn Progress) -> Result<Card> {
    generate_on(&Ranks::alone(), config, path, progress)
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
        true => OptimalActions::Everywhere,
        false => OptimalActions::Absent,
    };
    let layout = Layout::new(&config.environment.interface()?, optimal_actions).map_err(refuse)?;
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

/// Computes the digest of what passes through.
pub(super) struct Hashing<W> {
    pub sink: W,
    pub digest: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

/// The name must leave room for the card's.
pub(super) fn check_name(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|extension| extension == "parquet") {
        return Ok(());
    }
    Err(Error::argument(path.display().to_string(), "a file of histories is called NAME.parquet"))
}

/// A file of learning histories, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryFile {
    /// The Parquet file.
    pub path: PathBuf,
    /// What its card says.
    pub card: Card,
    /// Histories of the training tasks.
    pub training: Histories,
    /// Histories of the held-out tasks.
    pub held_out: Histories,
}

impl HistoryFile {
    /// SHA-256 of the Parquet file, in lower-case hexadecimal: what a training run writes down.
    pub fn digest(&self) -> &str {
        &self.card.sha256
    }
}

/// Reads histories and their card; refuses a file whose digest is not the card's, and any value out
/// of its range.
pub fn read(path: &Path) -> Result<HistoryFile> {
    let (card, all) = read_undivided(path)?;
    Ok(divide(path, card, &all))
}

/// As [`read`], training and held-out histories together, in the order of the file.
pub(super) fn read_undivided(path: &Path) -> Result<(Card, Histories)> {
    let (card, bytes) = read_bytes(path)?;
    let all = assemble(path, bytes, card.has_several_tasks_a_history(), |_| Ok(card.interface.clone()))?;
    check_against_card(path, &card, &all, all.steps.len())?;
    Ok((card, all))
}

/// A file that was checked against its card, and of which is known what histories it has.
pub(super) struct Opened {
    path: PathBuf,
    pub card: Card,
    reader: Reader,
    /// Steps count through the file.
    index: Vec<History>,
    /// Places in the index of the training histories, and of the held-out ones.
    parts: [Vec<usize>; 2],
}

impl Opened {
    /// For one of several ranks, which must all call it.
    ///
    /// # Errors
    /// As [`read`]; [`Error::File`] where rank 0 has another file.
    pub fn new(path: &Path, ranks: &Ranks) -> Result<Self> {
        let (card, bytes) = read_bytes(path)?;
        // The card as well: it says which tasks are held out.
        let digests = [&card.sha256[..], &card.card_sha256].concat().into_bytes();
        if ranks.broadcast_bytes(digests.clone()) != digests {
            let problem = "is not, or its card is not, what rank 0 has; all ranks must read the same files";
            return Err(Error::file(path, problem));
        }
        let several = card.has_several_tasks_a_history();
        let (reader, index) = parquet(path, || {
            let reader = Reader::open(Bytes::from(bytes))?;
            let index = reader.index(several)?;
            check_kinds(&reader.kinds(), &card.interface)?;
            Ok((reader, index))
        })?;
        let parts = split_sets(&card.split).map(|tasks| {
            let places = index.iter().enumerate().filter(|(_, history)| tasks.contains(&history.task));
            places.map(|(place, _)| place).collect()
        });
        Ok(Self { path: path.into(), card, reader, index, parts })
    }

    /// Number of training histories, and of held-out ones.
    pub fn counts(&self) -> [usize; 2] {
        [self.parts[0].len(), self.parts[1].len()]
    }

    /// Checks and keeps the steps of some of the training and of the held-out histories. The index
    /// has every history, the others without steps.
    pub fn read(self, wanted: [Range<usize>; 2]) -> Result<HistoryFile> {
        let Self { path, card, reader, mut index, parts } = self;
        let mut is_wanted = vec![false; index.len()];
        for (part, wanted) in parts.iter().zip(wanted) {
            part[wanted].iter().for_each(|&place| is_wanted[place] = true);
        }
        let places = index.iter().zip(&is_wanted).filter(|(_, wanted)| **wanted);
        let ranges: Vec<Range<usize>> = places.map(|(history, _)| history.steps.clone()).collect();
        let mut pieces = parquet(&path, std::panic::AssertUnwindSafe(|| reader.pieces(&ranges)))?;
        let mut checker = Checker::new(&card.interface, card.has_several_tasks_a_history());
        for (first, rows) in &mut pieces {
            checker.row = *first;
            checker.check(rows).map_err(|problem| Error::file(&path, problem))?;
            rows.keep_tasks(checker.several);
        }
        let rows = index.last().map_or(0, |history| history.steps.end);
        let mut end = 0;
        for (history, wanted) in index.iter_mut().zip(is_wanted) {
            let first = end;
            end += if wanted { history.steps.len() } else { 0 };
            history.steps = first..end;
        }
        let parts: Vec<&Steps> = pieces.iter().map(|(_, rows)| &rows.steps).collect();
        let steps = Steps::concatenate(&parts, card.interface.observation_len());
        let all = Histories { index, steps, interface: card.interface.clone() };
        check_against_card(&path, &card, &all, rows)?;
        Ok(divide(&path, card, &all))
    }
}

/// The card, and the file that it describes.
fn read_bytes(path: &Path) -> Result<(Card, Vec<u8>)> {
    check_name(path)?;
    // Of two missing files, the one that the user named.
    std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    let card = Card::read(path)?;
    let bytes = files::read_bytes(path, MAX_PARQUET_BYTES)?;
    if files::hexadecimal(Sha256::digest(&bytes)) != card.sha256 {
        return Err(Error::file(
            path,
            format!(
                "is not the file that {} describes (its SHA-256 differs): it was changed or damaged; generate it again, \
                 copy both files again, or check it and write a new card with `histories check FILE --write-card`",
                card_path(path).display()
            ),
        ));
    }
    Ok((card, bytes))
}

/// Training histories and held-out ones, as the card says.
fn divide(path: &Path, card: Card, all: &Histories) -> HistoryFile {
    let [training, held_out] = split_sets(&card.split);
    let (training, held_out) = (all.of_tasks(&training), all.of_tasks(&held_out));
    HistoryFile { path: path.into(), card, training, held_out }
}

/// Refuses histories that the card does not describe; `steps` is the number of all.
fn check_against_card(path: &Path, card: &Card, all: &Histories, steps: usize) -> Result<()> {
    if all.index.len() as u64 != u64::from(card.histories) || steps as u64 != card.steps {
        return Err(Error::file(path, "has another number of histories or steps than its card says"));
    }
    let [training, held_out] = split_sets(&card.split);
    if let Some(stray) = all.index.iter().find(|h| training.contains(&h.task) == held_out.contains(&h.task)) {
        let (id, task) = (stray.id, stray.task);
        let problem =
            format!("history {id} is of task {task}, which its card must list as training or held-out");
        return Err(Error::file(path, problem));
    }
    let held = |task: &u32| held_out.contains(task);
    for history in all.index.iter().filter(|_| !all.steps.tasks.is_empty()) {
        let tasks = &all.steps.tasks[history.steps.clone()];
        let known = |task: &u32| training.contains(task) || held(task);
        if !tasks.iter().all(|task| known(task) && held(task) == held(&history.task)) {
            let problem = format!(
                "history {} is of training and of held-out tasks, or of tasks that its card does not list",
                history.id
            );
            return Err(Error::file(path, problem));
        }
    }
    Ok(())
}

/// The training tasks and the held-out ones.
pub(super) fn split_sets(split: &TaskSplit) -> [HashSet<u32>; 2] {
    [&split.training, &split.held_out].map(|tasks| tasks.iter().copied().collect())
}

/// What is known of a file that another program wrote, beyond its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Values that each column of integers of an observation can have, from 0; absent: those that
    /// occur.
    pub observation_sizes: Option<Vec<u16>>,
    /// Height, width and colours of each column of bytes of an observation.
    pub pixels: Vec<[u16; 3]>,
    /// Number of actions; absent: those that occur, at least 2.
    pub actions: Option<u16>,
    /// Tasks held out from training; absent: one in ten.
    pub held_out: Option<u32>,
    /// Seed of the split.
    pub split_seed: u64,
}

/// Checks a file that another program wrote, and describes it: reward levels are those that occur,
/// observation sizes and actions as well unless `known` has them, and some of its tasks are held
/// out. The card is returned, not written.
///
/// # Errors
/// [`Error::Argument`] that names the field of `known`; [`Error::File`] and [`Error::Io`].
pub fn describe(path: &Path, known: &Foreign) -> Result<(Card, Histories)> {
    check_name(path)?;
    let bytes = files::read_bytes(path, MAX_PARQUET_BYTES)?;
    let sha256 = files::hexadecimal(Sha256::digest(&bytes));
    let all = assemble(path, bytes, false, |rows| infer(path, rows, known))?;
    let split = split_found(&all, known.held_out, known.split_seed)?;
    let mut returns = Returns::default();
    for history in &all.index {
        let held_out = split.held_out.binary_search(&history.task).is_ok();
        returns.add(&all.steps, history.steps.clone(), held_out);
    }
    let card = Card {
        format_version: FORMAT_VERSION,
        environment: EnvironmentConfig::custom(all.interface.clone()),
        interface: all.interface.clone(),
        generation: None,
        split,
        histories: all.index.len() as u32,
        steps: all.steps.len() as u64,
        source_steps: None,
        solved_share: None,
        median_steps_to_solve: None,
        returns: returns.windows(),
        filters: Vec::new(),
        sha256,
        card_sha256: String::new(),
    };
    Ok((card, all))
}

/// What `read` makes of a Parquet file, or its problem. The Parquet library is not proof against
/// every malformed file; what it says then is of no use to a user.
fn parquet<T>(
    path: &Path,
    read: impl FnOnce() -> std::result::Result<T, String> + std::panic::UnwindSafe,
) -> Result<T> {
    std::panic::catch_unwind(read)
        .map_err(|_| Error::file(path, "is not a Parquet file that can be read: it is damaged"))?
        .map_err(|problem| Error::file(path, problem))
}

/// Decodes and checks the rows of a file.
fn assemble(
    path: &Path,
    bytes: Vec<u8>,
    several: bool,
    interface: impl FnOnce(&[Rows]) -> Result<Interface>,
) -> Result<Histories> {
    let refuse = |problem: String| Error::file(path, problem);
    let mut rows = parquet(path, || Reader::open(Bytes::from(bytes))?.rows())?;
    let interface = interface(&rows)?;
    let words = interface.observation_len();
    let mut checker = Checker::new(&interface, several);
    for part in &mut rows {
        checker.check(part).map_err(refuse)?;
        part.keep_tasks(several);
    }
    let index = checker.index;
    let steps: Vec<&Steps> = rows.iter().map(|part| &part.steps).collect();
    Ok(Histories { index, steps: Steps::concatenate(&steps, words), interface })
}

/// Whether the columns of the observations hold what the channels of an interface are.
fn check_kinds(found: &[Kind], interface: &Interface) -> std::result::Result<(), String> {
    let expected: Vec<Kind> = interface.channels.iter().map(Kind::of).collect();
    if found.len() != expected.len() {
        return Err(format!("has {} observation columns, expected {}", found.len(), expected.len()));
    }
    match found.iter().zip(&expected).position(|(found, expected)| !found.fits(*expected)) {
        None => Ok(()),
        Some(number) => {
            Err(format!("observation_{number} holds {}, expected {}", found[number], expected[number]))
        }
    }
}

/// Checks rows in order, and finds the histories.
struct Checker<'a> {
    interface: &'a Interface,
    /// Whether an episode may be of another task than that before.
    several: bool,
    index: Vec<History>,
    row: usize,
    last: Option<Last>,
}

/// The row before.
#[derive(Clone, Copy)]
struct Last {
    task: u32,
    history: u32,
    episode: u32,
    number: u32,
    done: bool,
}

impl<'a> Checker<'a> {
    fn new(interface: &'a Interface, several: bool) -> Self {
        Self { interface, several, index: Vec::new(), row: 0, last: None }
    }

    fn check(&mut self, rows: &Rows) -> std::result::Result<(), String> {
        check_kinds(&rows.kinds, self.interface)?;
        let steps = &rows.steps;
        let mut columns = steps.observations.iter();
        for (channel, kind) in self.interface.channels.iter().enumerate() {
            let own = columns.by_ref().take(kind.words());
            // Only a discrete channel refuses words.
            let Some(column) = own.last().filter(|_| kind.table_rows() > 0) else { continue };
            if let Some(row) = column.iter().position(|&word| kind.check(&[word]).is_err()) {
                let (word, row) = (column[row], self.row + row);
                return Err(format!("observation_{channel} is {word} in row {row}, expected {kind}"));
            }
        }
        if let Some(row) = steps.actions.iter().position(|&action| action >= self.interface.actions) {
            let (action, row) = (steps.actions[row], self.row + row);
            return Err(format!(
                "action is {action} in row {row}, expected 0 to {}",
                self.interface.actions - 1
            ));
        }
        for (row, words) in steps.final_observations.iter() {
            let in_file = self.row + row;
            if !steps.dones[row] {
                return Err(format!("final_observation is set in row {in_file}, where no episode ends"));
            }
            if let Err(problem) = self.interface.check(words) {
                return Err(format!("final_observation in row {in_file}: {problem}"));
            }
        }
        let unknown = |action: u16| action == u16::MAX;
        let wrong = |&action: &u16| action >= self.interface.actions && !unknown(action);
        if let Some(row) = steps.optimal_actions.iter().position(wrong) {
            let (action, row) = (steps.optimal_actions[row], self.row + row);
            let last = self.interface.actions - 1;
            return Err(format!("optimal_action is {action} in row {row}, expected 0 to {last}"));
        }
        for row in 0..steps.len() {
            let now = Last {
                task: rows.tasks[row],
                history: rows.histories[row],
                episode: steps.episodes[row],
                number: rows.numbers[row],
                done: steps.dones[row],
            };
            self.follow(now).map_err(|problem| format!("{problem} in row {}", self.row))?;
            self.row += 1;
        }
        Ok(())
    }

    fn follow(&mut self, now: Last) -> std::result::Result<(), String> {
        let expected_number = match self.last {
            Some(last) if last.history == now.history => {
                if now.task != last.task && !(self.several && now.episode != last.episode) {
                    return Err(format!(
                        "task_id changes from {} to {} within history {}",
                        last.task, now.task, now.history
                    ));
                }
                if now.episode < last.episode {
                    return Err(format!(
                        "episode falls from {} to {}; rows must be sorted by history_id, episode, step",
                        last.episode, now.episode
                    ));
                }
                match (now.episode > last.episode, last.done) {
                    (false, false) => last.number + 1,
                    (true, true) => 0,
                    (true, false) => {
                        return Err(format!(
                            "episode {} begins, but the last step of episode {} is not done",
                            now.episode, last.episode
                        ))
                    }
                    (false, true) => {
                        return Err(format!("episode {} goes on after a step that is done", now.episode))
                    }
                }
            }
            Some(last) if last.history > now.history => {
                return Err(format!(
                    "history_id falls from {} to {}; rows must be sorted by history_id, episode, step",
                    last.history, now.history
                ));
            }
            _ => 0,
        };
        if now.number != expected_number {
            return Err(format!(
                "step is {}, expected {expected_number}: no step may be missing",
                now.number
            ));
        }
        match self.index.last_mut() {
            Some(history) if self.last.is_some_and(|last| last.history == now.history) => {
                history.steps.end += 1
            }
            _ => self.index.push(History { task: now.task, id: now.history, steps: self.row..self.row + 1 }),
        }
        self.last = Some(now);
        Ok(())
    }
}

/// The interface of a foreign file: what is known, and else what occurs in it.
fn infer(path: &Path, parts: &[Rows], known: &Foreign) -> Result<Interface> {
    let (mut sizes, mut actions, levels) = occurring(parts).map_err(|problem| Error::file(path, problem))?;
    if let Some(wanted) = &known.observation_sizes {
        if let Some(size) = wanted.iter().find(|size| !(1..=MAX_CHANNEL_SIZE).contains(&usize::from(**size)))
        {
            let problem = format!("has {size}, expected 1 to {MAX_CHANNEL_SIZE} values of each word");
            return Err(Error::argument("observation_sizes", problem));
        }
        if wanted.len() != sizes.len() || wanted.iter().zip(&sizes).any(|(wanted, found)| wanted < found) {
            let problem = format!("is {wanted:?}, but the file needs {sizes:?} or more");
            return Err(Error::argument("observation_sizes", problem));
        }
        sizes.clone_from(wanted);
    }
    if let Some(wanted) = known.actions {
        if usize::from(wanted) > MAX_ACTIONS {
            return Err(Error::argument("actions", format!("is {wanted}, expected 2 to {MAX_ACTIONS}")));
        }
        if wanted < actions {
            let problem = format!("is {wanted}, but the file needs {actions} or more");
            return Err(Error::argument("actions", problem));
        }
        actions = wanted;
    }
    let kinds = parts.first().map_or(&[][..], |part| &part.kinds);
    let channels = channels(path, kinds, &sizes, &known.pixels)?;
    let columns = channels.len();
    let interface = Interface {
        channels: channels.into_iter().take(MAX_CHANNELS).collect(),
        actions,
        reward_levels: levels.into_iter().take(MAX_REWARD_LEVELS).collect(),
    };
    if interface.is_valid() && columns <= MAX_CHANNELS {
        return Ok(interface);
    }
    let problem = format!(
        "has {columns} observation columns and {actions} actions; a model can have at most {MAX_CHANNELS} columns \
         ({MAX_ENCODERS} of them lists, of at most {MAX_VECTOR_SIZE} numbers, or pictures, of at most \
         {MAX_PIXEL_BYTES} bytes) and {MAX_ACTIONS} actions, and rewards that are finite"
    );
    Err(Error::file(path, problem))
}

/// The channels of columns of such kinds.
fn channels(path: &Path, kinds: &[Kind], sizes: &[u16], pixels: &[[u16; 3]]) -> Result<Vec<Channel>> {
    let mut sizes = sizes.iter();
    let mut shapes = pixels.iter();
    let mut channels = Vec::with_capacity(kinds.len());
    for (number, kind) in kinds.iter().enumerate() {
        channels.push(match *kind {
            Kind::Integer => Channel::Discrete { size: sizes.next().copied().unwrap_or(1) },
            Kind::List(numbers) => Channel::Vector { size: numbers.min(usize::from(u16::MAX)) as u16 },
            Kind::Bytes(bytes) => {
                let missing = || {
                    let problem = format!(
                        "are not said for observation_{number}, which has {bytes} bytes a row; \
                         say HEIGHTxWIDTHxCOLOURS"
                    );
                    Error::argument("pixels", problem)
                };
                let &[height, width, colours] = shapes.next().ok_or_else(missing)?;
                let channel =
                    u8::try_from(colours).ok().map(|colours| Channel::Pixels { height, width, colours });
                channel.filter(|channel| channel.inputs() == bytes).ok_or_else(|| {
                    let problem = format!(
                        "are {height}x{width}x{colours} for observation_{number}, which has {bytes} bytes a row"
                    );
                    Error::argument("pixels", problem)
                })?
            }
        });
    }
    match shapes.next() {
        None => Ok(channels),
        Some(_) => {
            let all = kinds.iter().filter(|kind| matches!(kind, Kind::Bytes(_))).count();
            let problem =
                format!("has {} shapes, but {} has {all} columns of bytes", pixels.len(), path.display());
            Err(Error::argument("pixels", problem))
        }
    }
}

/// Sizes of the words of an observation, actions and reward levels that occur.
fn occurring(parts: &[Rows]) -> std::result::Result<(Vec<u16>, u16, Vec<f32>), String> {
    let kinds = parts.first().map_or(&[][..], |part| &part.kinds);
    let other = |part: &&Rows| part.kinds != kinds;
    if parts.iter().any(|part| other(&part)) {
        return Err("has lists or bytes of different lengths in different row groups".into());
    }
    let mut sizes = Vec::with_capacity(kinds.len());
    let mut next = 0;
    for (number, kind) in kinds.iter().enumerate() {
        let word = next;
        next += kind.words();
        if *kind != Kind::Integer {
            continue;
        }
        let values = || parts.iter().flat_map(|part| part.steps.observations.get(word).into_iter().flatten());
        let (low, high) = (values().min().copied().unwrap_or(0), values().max().copied().unwrap_or(0));
        if low < 0 || high as usize >= MAX_CHANNEL_SIZE {
            let limit = MAX_CHANNEL_SIZE - 1;
            return Err(format!(
                "observation_{number} has values from {low} to {high}, expected 0 to {limit}"
            ));
        }
        sizes.push(high as u16 + 1);
    }
    let highest_action = parts.iter().flat_map(|part| &part.steps.actions).max();
    let Some(&highest_action) = highest_action else { return Err("has no rows".into()) };
    Ok((sizes, highest_action.saturating_add(1).max(2), reward_levels(parts)))
}

/// The distinct rewards, or where they are too many, quantiles.
fn reward_levels(parts: &[Rows]) -> Vec<f32> {
    let rewards = || parts.iter().flat_map(|part| part.steps.rewards.iter().copied());
    let mut levels: Vec<f32> = Vec::with_capacity(MAX_REWARD_LEVELS);
    for reward in rewards() {
        if levels.contains(&reward) {
            continue;
        }
        if levels.len() == MAX_REWARD_LEVELS {
            levels = rewards().collect();
            levels.sort_unstable_by(f32::total_cmp);
            let count = levels.len();
            levels = (0..MAX_REWARD_LEVELS)
                .map(|i| levels[count * (2 * i + 1) / (2 * MAX_REWARD_LEVELS)])
                .collect();
            break;
        }
        levels.push(reward);
    }
    levels.sort_unstable_by(f32::total_cmp);
    levels.dedup();
    levels
}

/// Splits the tasks that occur in a foreign file; one in ten is held out unless `held_out` says how
/// many.
fn split_found(all: &Histories, held_out: Option<u32>, seed: u64) -> Result<TaskSplit> {
    let tasks: BTreeSet<u32> = all.index.iter().map(|history| history.task).collect();
    let mut tasks: Vec<u32> = tasks.into_iter().collect();
    let held_out = held_out.map_or(tasks.len() / 10, |count| count as usize);
    if held_out >= tasks.len() {
        return Err(Error::argument(
            "held_out",
            format!(
                "is {held_out}, but the file has {} tasks and at least one is needed for training",
                tasks.len()
            ),
        ));
    }
    shuffle(&mut tasks, &mut PortableRng::new(seed, 0));
    let mut training = tasks.split_off(held_out);
    training.sort_unstable();
    tasks.sort_unstable();
    Ok(TaskSplit { training, held_out: tasks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::generate;
    use crate::progress::NoProgress;
    use crate::source::FinalObservations;
    use crate::source::SourceConfig;

    fn config(environment: &str, source: &str) -> GenerateConfig {
        let environment = EnvironmentConfig::preset(environment).unwrap();
        let tasks = if environment.task_count().is_none() { 300 } else { 9 };
        GenerateConfig {
            tasks: Some(tasks),
            held_out: 5,
            histories_per_task: 3,
            ..GenerateConfig::recommended(environment, SourceConfig::preset(source).unwrap()).unwrap()
        }
    }

    fn progress() -> NoProgress {
        NoProgress
    }

    fn held_out(count: u32) -> Foreign {
        Foreign { held_out: Some(count), ..Foreign::default() }
    }

    /// A small file in a folder of its own.
    fn small() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.parquet");
        let config =
            GenerateConfig { tasks: Some(4), held_out: 1, episodes: 3, ..config("dark-room", "psrl") };
        generate_to_file(&config, &path, &progress()).unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_read_is_what_was_generated() {
        let folder = tempfile::tempdir().unwrap();
        for (environment, source) in [("dark-room", "psrl"), ("dark-room", "q-learning"), ("bandit", "ucb")] {
            let config = config(environment, source);
            let path = folder.path().join(format!("new/{source}.parquet"));
            let card = generate_to_file(&config, &path, &progress()).unwrap();
            let read = read(&path).unwrap();
            let generated = generate(&config, &progress()).unwrap();
            assert_eq!(read.card, card);
            assert_eq!((read.training, read.held_out), (generated.training, generated.held_out));
            assert_eq!(card.split, generated.split);
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_byte() {
        let folder = tempfile::tempdir().unwrap();
        let config = GenerateConfig { histories_per_task: 200, ..config("dark-room", "q-learning") };
        let write = |threads: usize| {
            let path = folder.path().join(format!("{threads}.parquet"));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| generate_to_file(&config, &path, &progress())).unwrap();
            (std::fs::read(&path).unwrap(), std::fs::read(card_path(&path)).unwrap())
        };
        assert!(write(1) == write(4));
    }

    /// Histories of one agent over several tasks each.
    fn several(folder: &Path) -> PathBuf {
        let path = folder.join("several.parquet");
        let config = GenerateConfig {
            episodes: 30,
            tasks_per_history: "3".parse().unwrap(),
            ..config("dark-room", "q-learning")
        };
        let card = generate_to_file(&config, &path, &progress()).unwrap();
        let (read, generated) = (read(&path).unwrap(), generate(&config, &progress()).unwrap());
        assert_eq!(read.card, card);
        assert_eq!((read.training, read.held_out), (generated.training, generated.held_out));
        path
    }

    #[test]
    fn the_tasks_of_a_history_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = several(folder.path());
        assert_share(&path, [1..7, 2..5]);
        // Without the card's word, a history is of one task.
        let problem = describe(&path, &Foreign::default()).unwrap_err().to_string();
        assert!(problem.contains("within history 0"), "{problem}");
        // A history must not be of training and of held-out tasks.
        let mut card = Card::read(&path).unwrap();
        let moved = read(&path).unwrap().training.steps.tasks.last().copied().unwrap();
        card.split.training.retain(|&task| task != moved);
        card.split.held_out.push(moved);
        card.write(&path).unwrap();
        let problem = read(&path).unwrap_err().to_string();
        assert!(problem.contains("is of training and of held-out tasks"), "{problem}");
    }

    /// The `wanted` training and held-out histories are those of the whole file; the others are
    /// there without steps.
    fn assert_share(path: &Path, wanted: [Range<usize>; 2]) {
        let whole = read(path).unwrap();
        let part = Opened::new(path, &Ranks::alone()).unwrap().read(wanted.clone()).unwrap();
        let [training, held_out] = wanted;
        for (part, whole, wanted) in
            [(&part.training, &whole.training, training), (&part.held_out, &whole.held_out, held_out)]
        {
            assert_eq!(part.index.len(), whole.index.len());
            for (number, (history, expected)) in part.index.iter().zip(&whole.index).enumerate() {
                assert_eq!((history.id, history.task), (expected.id, expected.task));
                assert_eq!(history.steps.is_empty(), !wanted.contains(&number));
            }
            let [first, last] =
                [wanted.start, wanted.end - 1].map(|number| whole.index[number].steps.clone());
            let mut steps = Steps::new(2);
            steps.extend(&whole.steps, first.start..last.end);
            assert_eq!(part.steps, steps);
        }
    }

    #[test]
    fn a_rank_reads_its_share_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("several-row-groups.parquet");
        generate_to_file(
            &GenerateConfig { histories_per_task: 80, ..config("dark-room", "psrl") },
            &path,
            &progress(),
        )
        .unwrap();
        assert_share(&path, [0..271, 18..20]);
        assert_share(&path, [100..720, 0..7]);
        // Training and held-out tasks of a foreign file lie among each other.
        let (_folder, path) = small();
        std::fs::remove_file(card_path(&path)).unwrap();
        describe(&path, &held_out(2)).unwrap().0.write(&path).unwrap();
        let [training, held_out] = Opened::new(&path, &Ranks::alone()).unwrap().counts();
        assert_share(&path, [1..training - 1, 0..held_out]);
        assert_share(&path, [0..training, held_out - 1..held_out]);
    }

    /// Damages `bytes` in one of several ways.
    fn damage(bytes: &mut Vec<u8>, rng: &mut PortableRng) {
        let at = rng.below(bytes.len() as u32) as usize;
        match rng.below(4) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << rng.below(8),
            2 => bytes[at] = rng.next_u32() as u8,
            _ => {
                let end = (at + 1 + rng.below(64) as usize).min(bytes.len());
                bytes[at..end].fill_with(|| rng.next_u32() as u8);
            }
        }
    }

    #[test]
    fn a_damaged_file_or_card_is_refused_by_name() {
        let (_folder, path) = small();
        let good = read(&path).unwrap();
        let mut rng = PortableRng::new(1, 0);
        for victim in [path.clone(), card_path(&path)] {
            let original = std::fs::read(&victim).unwrap();
            for _ in 0..500 {
                let mut bytes = original.clone();
                damage(&mut bytes, &mut rng);
                std::fs::write(&victim, &bytes).unwrap();
                match read(&path) {
                    Ok(same) => assert_eq!(same, good),
                    Err(error) => assert!(error.to_string().contains("small."), "{error}"),
                }
            }
            std::fs::write(&victim, &original).unwrap();
        }
    }

    #[test]
    fn a_damaged_file_without_a_card_never_panics() {
        let (_folder, path) = small();
        let original = std::fs::read(&path).unwrap();
        let mut rng = PortableRng::new(2, 0);
        for _ in 0..1000 {
            let mut bytes = original.clone();
            damage(&mut bytes, &mut rng);
            std::fs::write(&path, &bytes).unwrap();
            if let Err(error) = describe(&path, &Foreign::default()) {
                assert!(error.to_string().contains("small.parquet"), "{error}");
            }
        }
    }

    #[test]
    fn a_file_of_another_program_is_described_and_can_then_be_read() {
        let (_folder, path) = small();
        let ours = read(&path).unwrap();
        std::fs::remove_file(card_path(&path)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("small.card.json"));
        let (mut card, all) = describe(&path, &held_out(2)).unwrap();
        assert_eq!(all.index.len(), ours.training.index.len() + ours.held_out.index.len());
        assert_eq!(card.split.held_out.len(), 2);
        assert_eq!(card.environment.name(), "custom");
        assert_eq!(card.interface.reward_levels, [0.0, 1.0]);
        card.write(&path).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read.card, card);
        assert_eq!(read.training.steps.len() + read.held_out.steps.len(), all.steps.len());
        assert!(describe(&path, &held_out(5)).is_err());
    }

    #[test]
    fn what_did_not_occur_in_a_file_can_be_said() {
        let (_folder, path) = small();
        let known = |sizes: &[u16], actions| Foreign {
            observation_sizes: Some(sizes.to_vec()),
            actions: Some(actions),
            ..Foreign::default()
        };
        let (card, all) = describe(&path, &known(&[16, 9], 7)).unwrap();
        assert_eq!(card.interface, Interface::discrete(&[16, 9], 7, &[0.0, 1.0]).unwrap());
        assert_eq!(all.interface, card.interface);
        for (sizes, actions, expected) in [
            (&[16][..], 5, "observation_sizes: is [16], but the file needs [9, 9] or more"),
            (&[16, 8], 5, "observation_sizes: is [16, 8]"),
            (&[9, 9], 4, "actions: is 4, but the file needs 5 or more"),
            (&[9, 9], 300, "actions: is 300, expected 2 to 256"),
            (&[9, 5000], 5, "observation_sizes: has 5000, expected 1 to 4096 values of each word"),
        ] {
            let problem = describe(&path, &known(sizes, actions)).unwrap_err().to_string();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    /// A few short histories.
    fn few(preset: &str) -> GenerateConfig {
        GenerateConfig {
            tasks: Some(3),
            held_out: 2,
            histories_per_task: 1,
            episodes: 3,
            ..config(preset, "psrl")
        }
    }

    #[test]
    fn numbers_and_pictures_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        for preset in ["watermaze", "watermaze-pose"] {
            let path = folder.path().join(format!("{preset}.parquet"));
            generate_to_file(&few(preset), &path, &NoProgress).unwrap();
            let file = read(&path).unwrap();
            let all = generate(&few(preset), &NoProgress).unwrap();
            assert!(!all.training.steps.final_observations.is_empty());
            assert_eq!((file.training, file.held_out), (all.training, all.held_out), "{preset}");
        }
    }

    #[test]
    fn pictures_of_other_programs_need_their_shape() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = folder.path().join("pictures.parquet");
        generate_to_file(&few("watermaze"), &pictures, &NoProgress).unwrap();
        std::fs::remove_file(card_path(&pictures)).unwrap();
        let with = |pixels: &[[u16; 3]]| {
            describe(&pictures, &Foreign { pixels: pixels.into(), ..Foreign::default() })
        };
        let (card, _) = with(&[[8, 16, 3]]).unwrap();
        assert_eq!(card.interface.channels[..], [Channel::Pixels { height: 8, width: 16, colours: 3 }]);
        for (pixels, expected) in [
            (&[][..], "observation_0, which has 384 bytes a row"),
            (&[[8, 16, 1]], "are 8x16x1 for observation_0"),
            (&[[8, 16, 3], [1, 1, 1]], "has 1 columns of bytes"),
        ] {
            let problem = with(pixels).unwrap_err().to_string();
            assert!(problem.starts_with("pixels") && problem.contains(expected), "{problem}");
        }
        let numbers = folder.path().join("numbers.parquet");
        generate_to_file(&few("watermaze-pose"), &numbers, &NoProgress).unwrap();
        // A card of another environment.
        let sha256 = Card::read(&numbers).unwrap().sha256;
        Card { sha256, ..with(&[[8, 16, 3]]).unwrap().0 }.write(&numbers).unwrap();
        let problem = read(&numbers).unwrap_err().to_string();
        assert!(
            problem.contains("observation_0 holds a list of 4 integers, expected 384 bytes"),
            "{problem}"
        );
    }

    /// Two histories of two episodes of two steps.
    fn rows() -> Rows {
        Rows {
            kinds: vec![Kind::Integer],
            tasks: vec![3, 3, 3, 3, 5, 5, 5, 5],
            histories: vec![0, 0, 0, 0, 1, 1, 1, 1],
            numbers: vec![0, 1, 0, 1, 0, 1, 0, 1],
            steps: Steps {
                episodes: vec![0, 0, 4, 4, 0, 0, 4, 4],
                observations: vec![vec![0, 1, 2, 0, 1, 2, 0, 1]],
                actions: vec![0, 1, 2, 0, 1, 2, 0, 1],
                rewards: vec![0.0, 0.5, -1.0, 0.0, 0.5, 0.0, 0.0, 0.5],
                dones: vec![false, true, false, true, false, true, false, false],
                final_observations: FinalObservations::default(),
                optimal_actions: Vec::new(),
                tasks: Vec::new(),
            },
        }
    }

    fn check(rows: &Rows) -> std::result::Result<Vec<History>, String> {
        let interface = Interface::discrete(&[3], 3, &[0.0]).unwrap();
        let mut checker = Checker::new(&interface, false);
        checker.check(rows).map(|()| checker.index)
    }

    #[test]
    fn every_inconsistency_is_named() {
        let good = check(&rows()).unwrap();
        assert_eq!(good, [History { task: 3, id: 0, steps: 0..4 }, History { task: 5, id: 1, steps: 4..8 }]);
        type Case = (&'static str, fn(&mut Rows));
        let cases: [Case; 9] = [
            ("observation_0 is 3 in row 2, expected 0 to 2", |r| r.steps.observations[0][2] = 3),
            ("observation_0 is -1 in row 2, expected 0 to 2", |r| r.steps.observations[0][2] = -1),
            ("action is 3 in row 6, expected 0 to 2", |r| r.steps.actions[6] = 3),
            ("task_id changes from 3 to 4 within history 0 in row 1", |r| r.tasks[1] = 4),
            ("history_id falls from 2 to 1", |r| r.histories[..4].fill(2)),
            ("episode falls from 4 to 3", |r| r.steps.episodes[3] = 3),
            ("episode 4 begins, but the last step of episode 0 is not done in row 2", |r| {
                r.steps.dones[1] = false
            }),
            ("episode 0 goes on after a step that is done in row 1", |r| r.steps.dones[0] = true),
            ("step is 2, expected 1: no step may be missing in row 5", |r| r.numbers[5] = 2),
        ];
        for (expected, change) in cases {
            let mut rows = rows();
            change(&mut rows);
            let problem = check(&rows).unwrap_err();
            assert!(problem.contains(expected), "{problem} does not say {expected}");
        }
    }

    #[test]
    fn what_occurs_is_the_interface() {
        let mut part = rows();
        let interface = infer(Path::new("x"), std::slice::from_ref(&part), &Foreign::default()).unwrap();
        assert_eq!(interface, Interface::discrete(&[3], 3, &[-1.0, 0.0, 0.5]).unwrap());
        part.steps.rewards = (0..1000).map(|i| i as f32 / 1000.0).collect();
        let levels = reward_levels(&[part]);
        assert_eq!(levels.len(), MAX_REWARD_LEVELS);
        assert!(
            (levels[0] - 1.0 / 32.0).abs() < 0.01 && (levels[15] - 31.0 / 32.0).abs() < 0.01,
            "{levels:?}"
        );
        assert!(infer(Path::new("x"), &[], &Foreign::default()).is_err());
    }
}
