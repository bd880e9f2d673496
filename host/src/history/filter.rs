//! Histories worth learning from: a file of those that show learning best, of another file.

use super::card::{Card, Returns, FORMAT_VERSION};
use super::columns::{row_group_steps, Layout, Presence};
use super::file::{check_name, read_undivided, split_sets, Hashing};
use super::score::{episodes, returns, Score};
use super::{Histories, History, Steps, Storage};
use crate::files::{hexadecimal, write_atomically};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// What a history must be like to stay. Held-out histories are judged as training ones are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// Only those that solved their task, as `docs/sources.md` defines it.
    #[serde(skip_serializing_if = "is_false")]
    pub solved: bool,
    /// Only those that improved at least as much, as `docs/sources.md` defines it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_improvement: Option<f64>,
    /// Only those that are at least as stable, as `docs/sources.md` defines it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_stability: Option<f64>,
    /// Of those that are left, the best fraction by the sum of improvement and stability: of the
    /// training histories and of the held-out ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<f64>,
    /// That fraction is one of the histories of each task, at least one of each.
    #[serde(skip_serializing_if = "is_false")]
    pub per_task: bool,
    /// Of these histories, only the episodes with these numbers, first and last, from 0. They are
    /// judged before, with all their episodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episodes: Option<(u32, u32)>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl FilterConfig {
    /// Refuses what keeps everything, or nothing.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub fn validate(&self) -> Result<()> {
        if *self == Self::default() {
            let problem =
                "takes nothing out; ask for keep, solved, min_improvement, min_stability or episodes";
            return Err(Error::argument("filter", problem));
        }
        if let Some(keep) = self.keep.filter(|keep| !(*keep > 0.0 && *keep <= 1.0)) {
            return Err(Error::argument("keep", format!("is {keep}, expected a number above 0, at most 1")));
        }
        if self.per_task && self.keep.is_none() {
            return Err(Error::argument("per_task", "says of what keep is a fraction: give keep as well"));
        }
        for (field, least) in
            [("min_improvement", self.min_improvement), ("min_stability", self.min_stability)]
        {
            if let Some(least) = least.filter(|least| !least.is_finite()) {
                return Err(Error::argument(field, format!("is {least}, expected a finite number")));
            }
        }
        match self.episodes {
            Some((first, last)) if first > last => {
                let problem = format!("is {first}-{last}, expected FIRST-LAST, numbers of episodes from 0");
                Err(Error::argument("episodes", problem))
            }
            _ => Ok(()),
        }
    }

    /// Whether a single episode cannot be judged by what is asked.
    fn compares_episodes(&self) -> Option<&'static str> {
        let asked = [
            ("keep", self.keep.is_some()),
            ("min_improvement", self.min_improvement.is_some()),
            ("min_stability", self.min_stability.is_some()),
        ];
        asked.into_iter().find(|(_, asked)| *asked).map(|(field, _)| field)
    }

    /// Whether a history with this score is good enough.
    fn accepts(&self, score: &Score) -> bool {
        (!self.solved || score.solved == Some(true))
            && self.min_improvement.is_none_or(|least| score.improvement >= least)
            && self.min_stability.is_none_or(|least| score.stability >= least)
    }
}

/// What a filter did: a part of the card of what it left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filtering {
    /// SHA-256 of the Parquet file that was filtered.
    pub from_sha256: String,
    /// What was asked for.
    pub asked: FilterConfig,
    /// The histories that stayed, judged by all their episodes in that file.
    pub kept: Judged,
    /// The others.
    pub dropped: Judged,
    /// Training tasks of which no history is left, of those that had one.
    pub training_tasks_lost: u32,
    /// The same of held-out tasks.
    pub held_out_tasks_lost: u32,
}

/// Means over some histories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// How many.
    pub histories: u32,
    /// Mean improvement; null where there is none.
    pub improvement: Option<f64>,
    /// Mean stability.
    pub stability: Option<f64>,
    /// Share of those that solved their task, of those whose optimum is known.
    pub solved_share: Option<f64>,
}

impl Judged {
    fn of<'a>(scores: impl Iterator<Item = &'a Score>) -> Self {
        let scores: Vec<&Score> = scores.collect();
        let mean =
            |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let solved = scores.iter().filter_map(|score| score.solved).map(|solved| f64::from(u8::from(solved)));
        Self {
            histories: scores.len() as u32,
            improvement: mean(scores.iter().map(|score| score.improvement).collect()),
            stability: mean(scores.iter().map(|score| score.stability).collect()),
            solved_share: mean(solved.collect()),
        }
    }
}

/// Writes to `output` the histories of `input` that `config` asks for, with a card that says so.
/// Their numbers, the tasks and the split stay. The same input gives the same bytes.
///
/// # Errors
/// Those of reading `input`, a file and its card; [`Error::Argument`] `out` where `output` is
/// `input`, and of [`FilterConfig::validate`]; [`Error::File`] where the optimum is not known that
/// `solved` needs, where histories of one episode should be compared, or where no training history
/// would be left.
pub fn filter(config: &FilterConfig, input: &Path, output: &Path) -> Result<Card> {
    filter_with(config, input, output, &Storage::default())
}

/// As [`filter`]; numbers and pictures are kept as `storage` says.
///
/// # Errors
/// As [`filter`]; those of keeping the observations, with the folder.
pub fn filter_with(config: &FilterConfig, input: &Path, output: &Path, storage: &Storage) -> Result<Card> {
    config.validate()?;
    check_name(output)?;
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    if canonical(output).is_some_and(|output| Some(output) == canonical(input)) {
        let problem = format!("is the file that is filtered, {}; choose another name", input.display());
        return Err(Error::argument("out", problem));
    }
    let (mut card, all) = read_undivided(input, storage)?;
    if config.per_task && card.has_several_tasks_a_history() {
        let problem = "has histories of several tasks each, of which per_task cannot choose; leave it out";
        return Err(Error::file(input, problem));
    }
    let scores = judge(config, input, &card, &all)?;
    let kept = choose(config, &card, &all.index, &scores);
    let some = cut(config, &all, &kept);
    let is_kept: HashSet<u32> = some.index.iter().map(|history| history.id).collect();
    let [training, held_out] = split_sets(&card.split);
    if !some.index.iter().any(|history| training.contains(&history.task)) {
        let problem = match (kept.is_empty(), config.episodes) {
            (false, Some((first, last))) => format!(
                "would have no training history left: none of those that stay has an episode {first} to {last}, \
                 the file has {}",
                numbers_of_episodes(&all)
            ),
            _ => "would have no training history left; ask for less".into(),
        };
        return Err(Error::file(input, problem));
    }
    let stays = |place: &usize| is_kept.contains(&all.index[*place].id);
    let places = 0..all.index.len();
    let before = std::mem::take(&mut card.sha256);
    card.filters.push(Filtering {
        from_sha256: before,
        asked: config.clone(),
        kept: Judged::of(places.clone().filter(stays).map(|place| &scores[place])),
        dropped: Judged::of(places.filter(|place| !stays(place)).map(|place| &scores[place])),
        training_tasks_lost: lost(&all, &some, &training),
        held_out_tasks_lost: lost(&all, &some, &held_out),
    });
    let mut means = Returns::default();
    for history in &some.index {
        means.add(&some.steps, history.steps.clone(), held_out.contains(&history.task));
    }
    card.format_version = FORMAT_VERSION;
    (card.histories, card.steps) = (some.index.len() as u32, some.steps.len() as u64);
    // They are those of the whole file.
    (card.source_steps, card.solved_share, card.median_steps_to_solve) = (None, None, None);
    card.returns = means.windows();
    let source = card.generation.as_ref().map_or("unknown", |config| config.source.name());
    card.sha256 = write(output, &some, source)?;
    card.write(output)?;
    Ok(card)
}

/// The task of each episode of a history.
fn tasks(all: &Histories, history: &History) -> Vec<u32> {
    let task = |episode: std::ops::Range<usize>| all.steps.tasks.get(episode.start).copied();
    match all.steps.tasks.is_empty() {
        true => vec![history.task],
        false => episodes(&all.steps, history.steps.clone()).filter_map(task).collect(),
    }
}

/// The score of every history.
fn judge(config: &FilterConfig, input: &Path, card: &Card, all: &Histories) -> Result<Vec<Score>> {
    let totals: Vec<Vec<f64>> =
        all.index.par_iter().map(|history| returns(&all.steps, history.steps.clone())).collect();
    if let Some(field) = config.compares_episodes() {
        if totals.iter().all(|totals| totals.len() < 2) {
            let problem =
                format!("its histories have one episode each: {field} compares the episodes of a history");
            return Err(Error::file(input, problem));
        }
    }
    let each = || totals.iter().flatten().copied();
    let spread = each().fold(f64::NEG_INFINITY, f64::max) - each().fold(f64::INFINITY, f64::min);
    let mut optima: BTreeMap<u32, Option<f64>> = BTreeMap::new();
    for task in all.index.iter().flat_map(|history| tasks(all, history)) {
        // A file of another program has no simulator.
        optima.entry(task).or_insert_with(|| card.environment.optimal_return(task).unwrap_or(None));
    }
    let optimum = |history: &History| -> Option<f64> {
        let each: Vec<f64> =
            tasks(all, history).into_iter().map(|task| optima[&task]).collect::<Option<_>>()?;
        Some(each.iter().sum::<f64>() / each.len() as f64)
    };
    let scored = all.index.iter().zip(&totals);
    let scores: Vec<Score> =
        scored.map(|(history, totals)| Score::new(totals, optimum(history), spread)).collect();
    if config.solved && scores.iter().any(|score| score.solved.is_none()) {
        let problem = format!(
            "the largest return of {} is not known, so neither is what solves a task: filter by \
                     improvement or stability",
            card.environment.name()
        );
        return Err(Error::file(input, problem));
    }
    Ok(scores)
}

/// The places of the histories that stay, ascending.
fn choose(config: &FilterConfig, card: &Card, index: &[History], scores: &[Score]) -> Vec<usize> {
    let [_, held_out] = split_sets(&card.split);
    let mut groups: BTreeMap<(bool, u32), Vec<usize>> = BTreeMap::new();
    for (place, history) in index.iter().enumerate() {
        if config.accepts(&scores[place]) {
            let task = if config.per_task { history.task } else { 0 };
            groups.entry((held_out.contains(&history.task), task)).or_default().push(place);
        }
    }
    let mut kept = Vec::new();
    for mut group in groups.into_values() {
        let count = config
            .keep
            .map_or(group.len(), |keep| ((keep * group.len() as f64).round() as usize).clamp(1, group.len()));
        // The sort is stable: of equals the earlier ones stay.
        group.sort_by(|&a, &b| scores[b].rank().total_cmp(&scores[a].rank()));
        kept.extend_from_slice(&group[..count]);
    }
    kept.sort_unstable();
    kept
}

/// The histories at `kept`, and of these the episodes that are asked for; none without a step.
fn cut(config: &FilterConfig, all: &Histories, kept: &[usize]) -> Histories {
    let (first, last) = config.episodes.unwrap_or((0, u32::MAX));
    let mut some = Histories {
        interface: all.interface.clone(),
        index: Vec::with_capacity(kept.len()),
        steps: Steps::new(all.steps.observations.len()),
    };
    for history in kept.iter().map(|&place| &all.index[place]) {
        let begin = some.steps.len();
        for episode in episodes(&all.steps, history.steps.clone()) {
            if (first..=last).contains(&all.steps.episodes[episode.start]) {
                some.steps.extend(&all.steps, episode);
            }
        }
        if some.steps.len() > begin {
            let task = some.steps.tasks.get(begin).copied().unwrap_or(history.task);
            some.index.push(History { task, id: history.id, steps: begin..some.steps.len() });
        }
    }
    some
}

/// Which episodes there are, in words.
fn numbers_of_episodes(all: &Histories) -> String {
    let numbers = &all.steps.episodes;
    let of = |end: Option<&u32>| end.map_or("none".into(), u32::to_string);
    format!("{} to {}", of(numbers.iter().min()), of(numbers.iter().max()))
}

/// How many of the tasks `of` have a history in `all` and none in `some`.
fn lost(all: &Histories, some: &Histories, of: &HashSet<u32>) -> u32 {
    let there = |histories: &Histories| -> HashSet<u32> {
        let all = histories.index.iter().flat_map(|history| tasks(histories, history));
        all.filter(|task| of.contains(task)).collect()
    };
    there(all).difference(&there(some)).count() as u32
}

/// Writes a Parquet file, row groups of whole histories; its SHA-256.
pub(super) fn write(path: &Path, all: &Histories, source: &str) -> Result<String> {
    let refuse = |error| Error::file(path, format!("cannot be written: {error}"));
    let optimal_actions = Presence::of(&all.steps.optimal_actions, &u16::MAX);
    let truncations = Presence::of(&all.steps.truncations, &None);
    let layout = Layout::new(&all.interface, optimal_actions, truncations).map_err(refuse)?;
    let room = row_group_steps(all.steps.len() as u64, all.interface.observation_len()) as usize;
    let chunks: Vec<&[History]> =
        all.index.chunk_by(|a, b| a.steps.start / room == b.steps.start / room).collect();
    let encode = |histories: &&[History]| {
        let first = histories[0].steps.start;
        let end = histories.last().map_or(first, |last| last.steps.end);
        let mut part = Histories {
            interface: all.interface.clone(),
            index: histories.to_vec(),
            steps: Steps::new(all.steps.observations.len()),
        };
        part.steps.extend(&all.steps, first..end);
        part.steps.load()?;
        layout.encode(&part, source).map_err(refuse)
    };
    let encoded: Vec<_> = chunks.par_iter().map(encode).collect::<Result<_>>()?;
    write_atomically(path, |file| {
        let hashing = Hashing { sink: file, digest: Sha256::new() };
        let mut file = layout.file_writer(hashing).map_err(refuse)?;
        for rows in encoded {
            rows.splice(&mut file).map_err(refuse)?;
        }
        Ok(hexadecimal(file.into_inner().map_err(refuse)?.digest.finalize()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;
    use crate::history::{describe, generate_to_file, read, Foreign, GenerateConfig, Mixture};
    use crate::progress::NoProgress;
    use crate::source::SourceConfig;
    use std::path::PathBuf;

    /// A file of `source` in `environment` in which some histories go better than others.
    fn file(folder: &Path, environment: &str, source: &str, episodes: u32) -> PathBuf {
        let environment = EnvironmentConfig::preset(environment).unwrap();
        let config = GenerateConfig {
            tasks: Some(9),
            held_out: 3,
            histories_per_task: 8,
            held_out_histories_per_task: 4,
            episodes,
            keep_every: 1,
            ..GenerateConfig::recommended(environment, SourceConfig::preset(source).unwrap()).unwrap()
        };
        let path = folder.join(format!("{source}.parquet"));
        generate_to_file(&config, &path, &NoProgress).unwrap();
        path
    }

    fn keep(fraction: f64) -> FilterConfig {
        FilterConfig { keep: Some(fraction), ..FilterConfig::default() }
    }

    fn solved() -> FilterConfig {
        FilterConfig { solved: true, ..FilterConfig::default() }
    }

    #[test]
    fn the_best_histories_are_written_as_they_were_and_the_card_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let input = file(folder.path(), "dark-room", "q-learning", 60);
        let output = folder.path().join("best.parquet");
        let card = filter(&keep(0.25), &input, &output).unwrap();
        let (whole, best) = (read(&input).unwrap(), read(&output).unwrap());
        assert_eq!(best.card, card);
        assert_eq!((best.training.index.len(), best.held_out.index.len()), (18, 3));
        assert_eq!((&card.split, &card.generation), (&whole.card.split, &whole.card.generation));
        let did = &card.filters[0];
        assert_eq!((&did.from_sha256, &did.asked), (&whole.card.sha256, &keep(0.25)));
        assert_eq!((did.kept.histories, did.dropped.histories), (21, 63));
        assert!(
            did.kept.improvement > did.dropped.improvement
                && did.kept.solved_share > did.dropped.solved_share
        );
        for history in &best.training.index {
            let same = whole.training.index.iter().find(|one| one.id == history.id).unwrap();
            let all = [&best.training.steps, &whole.training.steps];
            let [mine, theirs] = [history, same].map(|one| one.steps.clone());
            assert_eq!((same.task, mine.len()), (history.task, theirs.len()));
            assert_eq!(all[0].actions[mine.clone()], all[1].actions[theirs.clone()]);
            let ends = |steps: &Steps, range| -> Vec<(usize, Vec<i32>)> {
                steps.final_observations.of_range(range).map(|(step, words)| (step, words.to_vec())).collect()
            };
            assert_eq!(ends(all[0], mine), ends(all[1], theirs));
        }
        // Again, on one thread: the same bytes.
        let again = folder.path().join("again.parquet");
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        alone.install(|| filter(&keep(0.25), &input, &again)).unwrap();
        assert!(std::fs::read(&again).unwrap() == std::fs::read(&output).unwrap());
    }

    #[test]
    fn what_is_filtered_again_says_both() {
        let folder = tempfile::tempdir().unwrap();
        let input = file(folder.path(), "dark-room", "q-learning", 60);
        let [once, twice] = ["once", "twice"].map(|name| folder.path().join(format!("{name}.parquet")));
        let first = filter(&solved(), &input, &once).unwrap();
        assert!(first.filters[0].dropped.histories > 0 && first.filters[0].kept.solved_share == Some(1.0));
        let asked = FilterConfig { episodes: Some((10, 19)), per_task: true, ..keep(0.5) };
        let second = filter(&asked, &once, &twice).unwrap();
        let sha256s: Vec<&str> = second.filters.iter().map(|one| one.from_sha256.as_str()).collect();
        assert_eq!(sha256s[1], first.sha256);
        let read = read(&twice).unwrap();
        assert_eq!(read.training.index.iter().map(|one| one.steps.len()).max(), Some(200));
        assert_eq!((read.training.steps.episodes[0], second.returns[0].first_episode), (10, 10));
        // Of each task half of what solved it.
        assert_eq!(second.filters[1].training_tasks_lost, 0);
    }

    #[test]
    fn solved_means_what_it_means_to_generate() {
        let folder = tempfile::tempdir().unwrap();
        let input = file(folder.path(), "dark-room", "q-learning", 110);
        let share = Card::read(&input).unwrap().solved_share.unwrap();
        let did = filter(&solved(), &input, &folder.path().join("s.parquet")).unwrap().filters.remove(0);
        let all = f64::from(did.kept.histories + did.dropped.histories);
        assert_eq!(f64::from(did.kept.histories) / all, share);
        assert!(share > 0.0 && share < 1.0, "{share}");
    }

    #[test]
    fn optimal_actions_that_are_not_known_everywhere_stay_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let input = file(folder.path(), "dark-room", "q-learning", 60);
        let mut all = read(&input).unwrap().training;
        all.steps.optimal_actions = (0..all.steps.len()).map(|step| [2, u16::MAX][step % 2]).collect();
        let foreign = folder.path().join("foreign.parquet");
        write(&foreign, &all, "unknown").unwrap();
        describe(&foreign, &Foreign::default()).unwrap().0.write(&foreign).unwrap();
        let output = folder.path().join("some.parquet");
        filter(&FilterConfig { min_stability: Some(0.0), ..FilterConfig::default() }, &foreign, &output)
            .unwrap();
        let some = read(&output).unwrap().training;
        assert_eq!(some.steps.optimal_actions[..4], [2, u16::MAX, 2, u16::MAX]);
        // Its tasks are not known, but their returns can be compared.
        let problem = filter(&solved(), &foreign, &output).unwrap_err().to_string();
        assert!(problem.contains("the largest return of custom is not known"), "{problem}");
    }

    #[test]
    fn whether_episodes_were_cut_off_stays_known_but_not_in_training() {
        let folder = tempfile::tempdir().unwrap();
        let input = file(folder.path(), "dark-room", "q-learning", 20);
        let mut all = read(&input).unwrap().training;
        // Every episode of half of the histories was; of the others nobody knows.
        let known = |history: &History, steps: &Steps| -> Vec<Option<bool>> {
            let dones = steps.dones[history.steps.clone()].iter();
            dones.map(|&done| history.id.is_multiple_of(2).then_some(done)).collect()
        };
        all.steps.truncations = all.index.iter().flat_map(|history| known(history, &all.steps)).collect();
        for expected in [Some(true), Some(false), None] {
            assert!(all.steps.truncations.contains(&expected));
        }
        let foreign = folder.path().join("foreign.parquet");
        write(&foreign, &all, "unknown").unwrap();
        let (mut card, written) =
            describe(&foreign, &Foreign { held_out: Some(0), ..Foreign::default() }).unwrap();
        assert_eq!(written.steps.truncations, all.steps.truncations);
        card.write(&foreign).unwrap();
        let output = folder.path().join("some.parquet");
        filter(&FilterConfig { episodes: Some((3, 7)), ..FilterConfig::default() }, &foreign, &output)
            .unwrap();
        let some = read(&output).unwrap().training;
        assert!(some.steps.len() < all.steps.len());
        for history in &some.index {
            assert_eq!(some.steps.truncations[history.steps.clone()], known(history, &some.steps));
        }
        let trained = Mixture::read(&[output]).unwrap().training.steps;
        assert_eq!(trained, Steps { truncations: Vec::new(), ..some.steps });
        // What is generated has no such column.
        let has_column =
            |path: &Path| std::fs::read(path).unwrap().windows(9).any(|name| name == b"truncated");
        assert!(has_column(&foreign) && !has_column(&input));
    }

    #[test]
    fn what_cannot_be_filtered_is_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let input = file(folder.path(), "dark-room", "q-learning", 20);
        let bandit = file(folder.path(), "bandit", "ucb", 1);
        let output = folder.path().join("out.parquet");
        let all = FilterConfig::default();
        for (config, input, output, expected) in [
            (all.clone(), &input, &output, "filter: takes nothing out"),
            (keep(0.0), &input, &output, "keep: is 0, expected a number above 0"),
            (keep(f64::NAN), &input, &output, "keep: is NaN"),
            (FilterConfig { per_task: true, ..solved() }, &input, &output, "per_task: says of what keep"),
            (FilterConfig { episodes: Some((3, 2)), ..all.clone() }, &input, &output, "episodes: is 3-2"),
            (keep(0.5), &input, &input, "out: is the file that is filtered"),
            (keep(0.5), &bandit, &output, "one episode each: keep compares"),
            (
                FilterConfig { min_improvement: Some(2.0), ..all.clone() },
                &input,
                &output,
                "no training history left",
            ),
            (
                FilterConfig { episodes: Some((99, 99)), ..all },
                &input,
                &output,
                "none of those that stay has an episode 99 to 99, the file has 0 to ",
            ),
        ] {
            let problem = filter(&config, input, output).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        std::fs::remove_file(crate::history::card::card_path(&input)).unwrap();
        let problem = filter(&keep(0.5), &input, &output).unwrap_err().to_string();
        assert!(problem.contains("q-learning.card.json: is missing"), "{problem}");
        assert!(!output.exists());
    }
}
