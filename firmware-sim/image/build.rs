//! Puts the linker script of the chosen board where the linker finds it.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=ALGODISTILL_BOARD");
    // Two models under one name: what tells them apart is not the time of the file.
    println!("cargo::rerun-if-env-changed=ALGODISTILL_MODEL_CRC");
    println!("cargo::rerun-if-changed=boards");
    println!(
        "cargo::rustc-check-cfg=cfg(board, values(\"microbit\", \"lm3s6965evb\", \"netduinoplus2\", \"mps2-an500\", \"mps2-an505\", \"mps3-an547\", \"virt\"))"
    );
    let board = env::var("ALGODISTILL_BOARD").map_err(io::Error::other)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::copy(format!("boards/{board}.x"), out.join("memory.x"))?;
    println!("cargo::rustc-cfg=board=\"{board}\"");
    println!("cargo::rustc-link-search={}", out.display());
    if board == "virt" {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
