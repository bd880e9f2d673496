//! What the library calls a field, and a user an option.

use crate::Error;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// Fields whose option has another name; the others' is theirs, with `-` for `_`.
const OTHERWISE: [(&str, &str); 4] = [
    ("histories_per_task", "histories"),
    ("held_out_histories_per_task", "held-out-histories"),
    ("run_dir", "out"),
    ("name", "also"),
];

/// Fields of what has many of them, and the option that sets any.
const SETS: [(&str, &str); 2] = [("environment", "set"), ("source", "source-set")];

/// Arguments without an option.
const POSITIONS: [(&str, &str); 2] = [("models", "MODEL.adw"), ("experiment", "EXPERIMENT")];

/// Commands whose fields are those of a file, unless an option was given.
const OF_A_FILE: &str = "reproduce";

/// The command that was asked for, with the options of all commands.
pub fn chosen(root: &Command, matches: &ArgMatches) -> Command {
    let (mut command, mut matches) = (root, matches);
    while let Some((name, of_it)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        (command, matches) = (found, of_it);
    }
    let given = |option: &&clap::Arg| {
        command.get_name() != OF_A_FILE
            || matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let options = command.get_arguments().filter(given).cloned();
    Command::new(command.get_name().to_owned()).args(options).args(root.get_arguments().cloned())
}

/// `error` in the words of whoever typed `command`.
pub fn in_options(error: Error, command: &Command) -> Error {
    let Error::Argument { argument, problem } = error else { return error };
    let has = |option: &str| command.get_arguments().any(|known| known.get_long() == Some(option));
    if let Some((of, field)) = argument.split_once('.') {
        let set = SETS.iter().find(|(known, option)| *known == of && has(option));
        let hint = set.map_or(String::new(), |(_, option)| format!(" (--{option} {field}=...)"));
        return Error::Argument { argument, problem: problem + &hint };
    }
    let named = |list: &[(&str, &'static str)]| {
        list.iter().find(|(field, _)| *field == argument).map(|(_, name)| (*name).to_owned())
    };
    let option = named(&OTHERWISE).unwrap_or_else(|| argument.replace('_', "-"));
    if has(&option) {
        return Error::Argument { argument: format!("--{option}"), problem };
    }
    let position = named(&POSITIONS).filter(|name| {
        let mut positions = command.get_positionals().filter_map(|known| known.get_value_names());
        positions.any(|names| names.iter().any(|known| known.as_str() == name))
    });
    Error::Argument { argument: position.unwrap_or(argument), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    #[test]
    fn a_field_of_an_experiment_is_called_by_an_option_only_where_the_option_was_given() {
        let options = ["histories", "runs"].map(|name| Arg::new(name).long(name));
        let root = Command::new("algodistill").subcommand(Command::new("reproduce").args(options));
        let matches = root.clone().try_get_matches_from(["algodistill", "reproduce", "--runs", "3"]);
        let chosen = chosen(&root, &matches.expect("valid"));
        for (field, expected) in
            [("runs", "--runs: wrong"), ("histories_per_task", "histories_per_task: wrong")]
        {
            assert_eq!(in_options(Error::argument(field, "wrong"), &chosen).to_string(), expected);
        }
    }

    #[test]
    fn a_field_is_called_by_the_option_of_the_command_that_has_it() {
        let command = Command::new("generate")
            .args(["histories", "keep-every", "set"].map(|name| Arg::new(name).long(name)))
            .arg(Arg::new("models").value_name("MODEL.adw"));
        for (field, expected) in [
            ("histories_per_task", "--histories: wrong"),
            ("keep_every", "--keep-every: wrong"),
            ("environment.size", "environment.size: wrong (--set size=...)"),
            ("models", "MODEL.adw: wrong"),
            ("source.alpha", "source.alpha: wrong"),
            ("mean_over", "mean_over: wrong"),
            ("train.batch", "train.batch: wrong"),
        ] {
            let found = in_options(Error::argument(field, "wrong"), &command).to_string();
            assert_eq!(found, expected);
        }
    }
}
