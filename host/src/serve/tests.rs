//! A session against an agent; what is refused; lines.

use super::*;
use crate::export::OwnedAgent;
use algodistill_core::env::watermaze::{Pose, Watermaze};
use algodistill_core::{PortableRng, Sampling};
use serde_json::{json, Value};
use std::path::PathBuf;

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models")).join(name)
}

fn open(name: &str) -> Session {
    Session::open(&shipped(name), Sampling::Temperature(1.0), 7).unwrap()
}

fn ask(session: &mut Session, request: Value) -> Value {
    session.answer(request.to_string().as_bytes())
}

/// Steps of a room that pays now and then; every tenth step ends an episode.
fn play(
    session: &mut Session,
    steps: std::ops::Range<i32>,
    mut between: impl FnMut(&mut Session),
) -> Vec<Value> {
    let step = |at: i32| {
        between(session);
        let answer = ask(session, json!({"do": "act", "observation": [at % 9, 4], "logits": true}));
        between(session);
        let mut feedback = json!({"do": "feedback", "reward": at % 3 / 2, "done": at % 10 == 9});
        if at % 10 == 9 {
            feedback["observation"] = json!([1, 2]);
        }
        assert_eq!(ask(session, feedback), json!({}));
        answer
    };
    steps.map(step).collect()
}

#[test]
fn a_session_does_what_an_agent_does_and_goes_on_from_a_snapshot() {
    let mut session = open("dark-room.adw");
    let answers = play(&mut session, 0..40, |_| ());
    let (mut agent, mut rng) = (OwnedAgent::read(&shipped("dark-room.adw")).unwrap(), PortableRng::new(7, 0));
    for (at, answer) in (0..40).zip(&answers) {
        let action = agent.act(&[at % 9, 4], &mut rng).unwrap();
        assert_eq!(*answer, json!({"action": action, "logits": agent.logits()}));
        agent.feedback((at % 3 / 2) as f32, (at % 10 == 9).then_some(&[1, 2])).unwrap();
    }
    let snapshot = ask(&mut session, json!({"do": "snapshot"}));
    let expected = play(&mut session, 40..60, |_| ());
    let mut other = open("dark-room.adw");
    let restore = json!({"do": "restore", "snapshot": snapshot["snapshot"]});
    assert_eq!(ask(&mut other, restore), json!({}));
    assert_eq!(play(&mut other, 40..60, |_| ()), expected);
    assert_eq!(ask(&mut other, json!({"do": "reset"})), json!({}));
    let forgotten = play(&mut other, 0..1, |_| ());
    assert_eq!(forgotten[0]["logits"], answers[0]["logits"]);
}

#[test]
fn what_is_refused_says_what_was_expected_and_changes_nothing() {
    let wrong = [
        ("", "EOF"),
        ("act", "expected value"),
        ("[1, 2]", "the request is no object"),
        (r#"{"observation": [1, 2]}"#, "do is missing"),
        (r#"{"do": "fly"}"#, "is \"fly\", expected one of info, act"),
        (r#"{"do": "act"}"#, "observation is missing"),
        (r#"{"do": "act", "observation": [1, 2], "greedy": true}"#, "greedy is no field here"),
        (r#"{"do": "act", "observation": [1]}"#, "observation has 1 numbers, expected 2"),
        (r#"{"do": "act", "observation": [1, 9]}"#, ""),
        (r#"{"do": "act", "observation": [1, 2.5]}"#, "observation[1] is 2.5, expected a whole number"),
        (r#"{"do": "act", "observation": [1e99, 2]}"#, ", expected a whole number from -2147483648"),
        (r#"{"do": "act", "observation": "here"}"#, "neither a list of numbers"),
        (r#"{"do": "demonstrate", "observation": [1, 2], "action": 5}"#, ""),
        (r#"{"do": "feedback", "reward": 0}"#, "done is missing"),
        (r#"{"do": "feedback", "reward": 0, "done": false, "observation": [1, 2]}"#, "end of an episode"),
        (r#"{"do": "feedback", "reward": 0, "done": true, "observation": [1, 77]}"#, ""),
        (r#"{"do": "feedback", "reward": "1", "done": false}"#, "is \"1\", expected a number"),
        (r#"{"do": "restore", "snapshot": "AAAA"}"#, "snapshot: has 3 bytes"),
        (r#"{"do": "restore", "snapshot": "?"}"#, "snapshot: "),
        (
            r#"{"do": "restore", "snapshot": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#,
            "snapshot: ",
        ),
    ];
    let expected = play(&mut open("dark-room.adw"), 0..20, |_| ());
    let found = play(&mut open("dark-room.adw"), 0..20, |session| {
        for (line, problem) in wrong {
            let answer = session.answer(line.as_bytes());
            assert!(
                answer["error"].as_str().is_some_and(|error| error.contains(problem)),
                "{line}: {answer}"
            );
        }
    });
    assert_eq!(found, expected);
    // Out of turn.
    let mut session = open("dark-room.adw");
    let feedback = json!({"do": "feedback", "reward": 1, "done": false});
    assert!(ask(&mut session, feedback)["error"].is_string());
    let act = json!({"do": "act", "observation": [4, 4]});
    assert!(ask(&mut session, act.clone())["action"].is_number());
    assert!(ask(&mut session, act)["error"].is_string());
}

#[test]
fn a_picture_is_a_number_a_byte_and_a_number_needs_no_brackets() {
    let maze = Watermaze::PIXELS;
    let mut words = vec![0; maze.picture_len() / 4];
    maze.show(Pose::default(), &mut words);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut session = open("watermaze.adw");
    let answer = ask(&mut session, json!({"do": "act", "observation": bytes, "logits": true}));
    let mut agent = OwnedAgent::read(&shipped("watermaze.adw")).unwrap();
    agent.act(&words, &mut PortableRng::new(7, 0)).unwrap();
    assert_eq!(answer["logits"], json!(agent.logits()));
    let too_bright: Vec<i32> = bytes.iter().map(|byte| i32::from(*byte) + 200).collect();
    ask(&mut session, json!({"do": "feedback", "reward": 0, "done": false}));
    let answer = ask(&mut session, json!({"do": "act", "observation": too_bright}));
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("from 0 to 255")), "{answer}");

    // The arms show nothing: any languages' empty list, and no number is one too many.
    let mut bandit = open("bandit.adw");
    let info = bandit.info().clone();
    let observation = json!(vec![0; info["channels"].as_array().unwrap().len()]);
    assert!(ask(&mut bandit, json!({"do": "act", "observation": observation}))["action"].is_number());
}

#[test]
fn lines_are_answered_one_by_one_however_long_they_are() {
    let long = format!("{{\"do\": \"act\", \"observation\": [{}4]}}", "4, ".repeat(MAX_LINE));
    let input =
        format!("\u{feff}{{\"do\": \"info\"}}\n\n{long}\n{{\"do\": \"act\", \"observation\": [4.0, 4]}}");
    let mut output = Vec::new();
    serve(&mut open("dark-room.adw"), &mut input.as_bytes(), &mut output).unwrap();
    let answers: Vec<Value> =
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0]["environments"], json!(["dark-room"]));
    assert!(answers[2]["error"].as_str().unwrap().contains("longer than"));
    assert!(answers[3]["action"].is_number());
}

#[test]
fn the_answers_in_the_documentation_are_those_of_the_program() {
    let read = |name: &str| std::fs::read_to_string(shipped(name)).unwrap();
    let page = read("../docs/serve.md");
    let shown = page.split("--seed 7\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut lines = shown.lines().skip(1);
    let mut session = open("dark-room.adw");
    let mut asked = 0;
    while let (Some(request), Some(answer)) = (lines.next(), lines.next()) {
        assert_eq!(session.answer(request.as_bytes()).to_string(), answer, "{request}");
        asked += 1;
    }
    assert_eq!(asked, 2);
    let mut session = Session::open(&shipped("dark-room.adw"), Sampling::Temperature(1.0), 0).unwrap();
    let answer = ask(&mut session, json!({"do": "act", "observation": [4, 4]}));
    assert!(read("../README.md").contains(&format!("standard output (`{answer}`)")), "{answer}");
}
