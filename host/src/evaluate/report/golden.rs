//! Golden files: `OVERWRITE_EXPECTED=1 cargo test` writes them anew, to be reviewed as a
//! difference.

use crate::files;
use std::path::Path;

/// Compares `text` with the golden file `name`.
pub fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/evaluate/report/golden").join(name);
    if std::env::var_os("OVERWRITE_EXPECTED").is_some() {
        files::write_bytes(&path, text.as_bytes()).expect("the golden file is written");
    }
    let expected = files::read_text(&path).expect("the golden file exists; OVERWRITE_EXPECTED=1 writes it");
    assert!(
        text == expected,
        "{} differs; OVERWRITE_EXPECTED=1 writes it anew. Now:\n{text}",
        path.display()
    );
}
