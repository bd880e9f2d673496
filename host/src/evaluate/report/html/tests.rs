//! Pages: one as a golden file, and what must hold of all.

use super::*;
use crate::evaluate::report::golden::assert_golden;
use crate::evaluate::report::tests::evaluation;

#[test]
fn page_of_a_room() {
    let page = of_evaluation(&evaluation("dark-room", 6), "algodistill evaluate model.adw --tasks 2");
    assert_golden("report.html", &page);
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    for name in ["dark-room", "key-to-door", "watermaze", "bandit-even"] {
        let page = of_evaluation(&evaluation(name, 3), "algodistill evaluate model.adw");
        for outside in ["http", "src=", "href=", "url(", "@import", "<link", "<iframe"] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn tasks_that_are_places_are_on_a_map_and_others_in_a_row() {
    let page = |name| of_evaluation(&evaluation(name, 3), "");
    let places = |page: &str| page.matches("By place of the ").count();
    assert_eq!(
        ["dark-room", "key-to-door", "watermaze", "bandit-even"].map(|name| places(&page(name))),
        [1, 2, 1, 0]
    );
    assert!(page("bandit-even").contains("Of each task, the highest first"));
    assert!(!page("bandit-even").contains("step by step"), "nobody is above a bandit");
    // Task 3 of Dark Room 9x9 is the goal in row 0, column 3: of 400 pixels a cell has 44.4.
    assert!(page("dark-room").contains("<rect x=\"133.3\" y=\"0.0\" width=\"44.4\""));
}

#[test]
fn whoever_does_not_see_the_pictures_is_told() {
    let page = of_evaluation(&evaluation("dark-room", 6), "");
    let pictures = page.matches("<svg").count();
    assert_eq!(page.matches("role=\"img\" aria-label=\"").count(), pictures);
    assert_eq!(page.matches("<figcaption>").count(), pictures);
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
    assert!(page.contains("<html lang=\"en\">") && page.matches("<h1>").count() == 1);
}

#[test]
fn what_comes_from_outside_is_text() {
    let bad = "<script>alert('1')</script>\"&";
    let mut evaluation = evaluation("dark-room", 3);
    evaluation.title = bad.into();
    evaluation.name = bad.into();
    evaluation.models[0].file = bad.into();
    evaluation.warnings = vec![bad.into()];
    evaluation.task_names = vec![bad.into(); 2];
    evaluation.note = Some(bad.into());
    for measured in &mut evaluation.measured {
        measured.series.label = bad.into();
    }
    let about = [bad.to_owned()];
    let claims = [(true, bad.to_owned(), bad.to_owned())];
    let bandit = {
        let mut bandit = self::evaluation("bandit-even", 3);
        bandit.task_names = vec![bad.into(); 2];
        bandit
    };
    let page = render(&Page {
        title: bad,
        about: &about,
        claims: &claims,
        evaluations: &[(bad.into(), &evaluation), (bad.into(), &bandit)],
        source: Some((bad, bad)),
        repeat: bad,
    });
    assert_eq!(page.matches("<script").count(), 1, "our own");
    assert!(page.matches("&lt;script&gt;alert").count() > 15);
}
