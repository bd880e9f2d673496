//! No panic is reachable from the core's API: `tests/no-panic` has a panic handler that does not
//! link.

use std::path::Path;
use std::process::Command;

#[test]
fn no_panic_is_reachable_from_the_api() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("no-panic");
    // Not the folder of the running build, which cargo holds locked.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-panic");
    let output = Command::new(env!("CARGO"))
        .args(["rustc", "--release", "--locked", "--target-dir"])
        .arg(&target)
        .args(["--", "-C", "link-arg=-Wl,-z,defs", "-C", "link-arg=-lc"])
        .current_dir(crate_folder)
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a panic is reachable, or the build failed:\n{messages}");
}
