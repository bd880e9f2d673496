//! Tells the crate what stable compilers do not say of the target: whether it has the Arm DSP extension
//! (`cfg(target_feature = "dsp")`), and whether its multiplier gives 32 bits only.

use std::env;

fn main() {
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, arm_thumb1, paired_ring)");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    if has_dsp() {
        println!("cargo:rustc-cfg=arm_dsp");
        println!("cargo:rustc-cfg=paired_ring");
    }
    if has_arm_thumb1() {
        println!("cargo:rustc-cfg=arm_thumb1");
    }
}

/// ARMv7E-M always has it (Cortex-M4, M7). In ARMv8-M it is an option, which the name of the
/// processor or of the feature tells; some Cortex-M33 lack it.
fn has_dsp() -> bool {
    const ARMV8M_WITH_DSP: [&str; 6] =
        ["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85", "star-mc1"];
    let variable = |name| env::var(name).unwrap_or_default();
    let (target, flags) = (variable("TARGET"), variable("CARGO_ENCODED_RUSTFLAGS"));
    // The separator of the variable, not of a shell.
    let values = |option| {
        flags
            .split('\x1f')
            .filter_map(move |flag| flag.split_once(option))
            .flat_map(|(_, list)| list.split(','))
    };
    let feature = |name| values("target-feature=").any(|feature| feature == name);
    let processor = || values("target-cpu=").any(|name| ARMV8M_WITH_DSP.contains(&name));
    let optional = target.starts_with("thumbv8m.main-") && (feature("+dsp") || processor());
    (target.starts_with("thumbv7em-") || optional) && !feature("-dsp")
}

/// ARMv6-M and the baseline of ARMv8-M: Cortex-M0, M0+, M23.
fn has_arm_thumb1() -> bool {
    let target = env::var("TARGET").unwrap_or_default();
    target.starts_with("thumbv6m-") || target.starts_with("thumbv8m.base-")
}
