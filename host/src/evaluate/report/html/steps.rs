//! What the model did in one context, step by step.

use super::picture;
use crate::evaluate::evaluation::Evaluation;
use crate::evaluate::report::trajectories;
use maud::{html, Markup};

/// Episodes of the first context that is drawn from above. Without a script all of them are there;
/// with it one at a time, as far as a slider says.
pub(super) fn of_one_context(evaluation: &Evaluation) -> Markup {
    let Some(first) = evaluation.drawn.first() else { return html! {} };
    let episodes: Vec<_> = evaluation.drawn.iter().filter(|episode| episode.task == first.task).collect();
    html! {
        h3 { "One context, step by step" }
        p {
            "The int8 model in task " (first.task) ", its memory empty before episode 1: "
            (trajectories::legend(&first.trajectory)) "."
        }
        div.steps {
            div.controls hidden {
                label { "Episode " input.episode type="range" min="0" max=(episodes.len() - 1) value="0"; }
                label { "Step " input.step type="range" min="0" max="0" value="0"; }
                button type="button" { "Play" }
                output aria-live="polite" {}
            }
            div.frames {
                @for episode in episodes {
                    @let steps = episode.trajectory.path.len().saturating_sub(1);
                    @let caption = format!("Episode {}: return {} in {steps} steps", episode.number, episode.total);
                    figure.frame data-episode=(episode.number) {
                        (picture(&format!("{caption}, from above"), &trajectories::frame(episode)))
                        figcaption { (caption) }
                    }
                }
            }
        }
    }
}
