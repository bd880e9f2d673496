//! Tells the crate what stable compilers do not say of the target: whether it has the Arm DSP extension
//! (`cfg(target_feature = "dsp")`) or Helium (`"mve"`), and what its multiplier gives.

use std::env;

fn main() {
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, arm_mve, arm_smlal, arm_thumb1, coded_keys, paired_ring, riscv_mul)");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let variable = |name| env::var(name).unwrap_or_default();
    let (target, flags) = (variable("TARGET"), variable("CARGO_ENCODED_RUSTFLAGS"));
    // One of them: what has Helium has no use for the other.
    if has_mve(&target, &flags) {
        println!("cargo:rustc-cfg=arm_mve");
    } else if has_dsp(&target, &flags) {
        println!("cargo:rustc-cfg=arm_dsp");
        println!("cargo:rustc-cfg=paired_ring");
    } else if has_long_multiplication(&target) {
        println!("cargo:rustc-cfg=arm_smlal");
        println!("cargo:rustc-cfg=coded_keys");
    }
    if has_arm_thumb1(&target) {
        println!("cargo:rustc-cfg=arm_thumb1");
    }
    if is_riscv32_with_multiplication() {
        println!("cargo:rustc-cfg=riscv_mul");
        println!("cargo:rustc-cfg=coded_keys");
    }
}

/// Processors with Helium (MVE). An M52 or M55 may be made without it, as `-C target-feature=-mve` says.
const HELIUM: [&str; 3] = ["cortex-m52", "cortex-m55", "cortex-m85"];

/// Its name alone, `+mve`, is not enough: the kernels have the loops of ARMv8.1-M as well.
fn has_mve(target: &str, flags: &str) -> bool {
    target.starts_with("thumbv8m.main-") && processor(flags, &HELIUM) && !feature(flags, "-mve")
}

/// RV32IM with all registers: the extension E has half of them.
fn is_riscv32_with_multiplication() -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    let features = variable("CARGO_CFG_TARGET_FEATURE");
    let has = |name| features.split(',').any(|feature| feature == name);
    variable("CARGO_CFG_TARGET_ARCH") == "riscv32" && has("m") && !has("e")
}

/// ARMv7-M and ARMv8-M with the main extension, not ARMv6-M.
fn has_long_multiplication(target: &str) -> bool {
    ["thumbv7m-", "thumbv7em-", "thumbv8m.main-"].iter().any(|prefix| target.starts_with(prefix))
}

/// ARMv7E-M always has it (Cortex-M4, M7). In ARMv8-M it is an option, which the name of the
/// processor or of the feature tells; some Cortex-M33 lack it.
fn has_dsp(target: &str, flags: &str) -> bool {
    const ARMV8M_WITH_DSP: [&str; 3] = ["cortex-m33", "cortex-m35p", "star-mc1"];
    let named = feature(flags, "+dsp") || processor(flags, &ARMV8M_WITH_DSP) || processor(flags, &HELIUM);
    let optional = target.starts_with("thumbv8m.main-") && named;
    (target.starts_with("thumbv7em-") || optional) && !feature(flags, "-dsp")
}

fn feature(flags: &str, name: &str) -> bool {
    values(flags, "target-feature=").any(|feature| feature == name)
}

fn processor(flags: &str, names: &[&str]) -> bool {
    values(flags, "target-cpu=").any(|name| names.contains(&name))
}

/// The values of an option of the compiler.
fn values<'a>(flags: &'a str, option: &'static str) -> impl Iterator<Item = &'a str> {
    // The separator of the variable, not of a shell.
    let lists = flags.split('\x1f').filter_map(move |flag| flag.split_once(option));
    lists.flat_map(|(_, list)| list.split(','))
}

/// ARMv6-M and the baseline of ARMv8-M: Cortex-M0, M0+, M23.
fn has_arm_thumb1(target: &str) -> bool {
    target.starts_with("thumbv6m-") || target.starts_with("thumbv8m.base-")
}
