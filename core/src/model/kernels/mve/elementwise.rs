//! Rescaling and quantizing vectors of fixed-point numbers.

use core::arch::asm;

/// How a vector is rescaled: values are shifted left, the upper half of the product is rounded and
/// shifted right.
#[derive(Clone, Copy)]
pub struct Shifts {
    left: u32,
    /// Negative: VRSHL shifts to the left.
    after: i32,
}

impl Shifts {
    /// For values of at most `bits` bits, multipliers below 2^31 and a shift of the whole product.
    /// `None` where the values have no room or the shift is out of range.
    pub fn new(bits: u32, shift: i32) -> Option<Self> {
        // The rounded shift of the upper half is by one at least.
        let left = (33 - shift).max(0) as u32;
        let fits = left + bits <= 31 && shift <= 62;
        fits.then_some(Self { left, after: 32 - shift - left as i32 })
    }
}

/// `round_shift(values[i] * multiplier, shift)` where that is the upper half of a product, shifted
/// further: [`Shifts`] says.
#[inline(never)]
pub fn rescale(values: &mut [i32], multiplier: u32, shifts: Shifts) {
    // SAFETY: reads and writes the elements of `values`; without any the loop is not entered.
    unsafe {
        asm!(
            "vdup.32 q0, r1",
            "wlstp.32 lr, r2, 3f",
            "2:",
            "vldrw.u32 q1, [r0]",
            "vshl.s32 q1, r3",
            "vmulh.s32 q1, q1, q0",
            "vrshl.s32 q1, r4",
            "vstrw.32 q1, [r0], #16",
            "letp lr, 2b",
            "3:",
            inout("r0") values.as_mut_ptr() => _,
            in("r1") multiplier,
            in("r2") values.len(),
            in("r3") shifts.left,
            in("r4") shifts.after,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

/// The same with the multiplier `scales[i] * factor`.
#[inline(never)]
pub fn rescale_rows(values: &mut [i32], scales: &[u16], factor: u32, shifts: Shifts) {
    let count = values.len().min(scales.len());
    // SAFETY: reads `count` elements of `scales`, reads and writes as many of `values`.
    unsafe {
        asm!(
            "wlstp.32 lr, r2, 3f",
            "2:",
            "vldrh.u32 q0, [r5], #8",
            "vldrw.u32 q1, [r0]",
            "vmul.i32 q0, q0, r1",
            "vshl.s32 q1, r3",
            "vmulh.s32 q1, q1, q0",
            "vrshl.s32 q1, r4",
            "vstrw.32 q1, [r0], #16",
            "letp lr, 2b",
            "3:",
            inout("r0") values.as_mut_ptr() => _,
            in("r1") factor,
            in("r2") count,
            in("r3") shifts.left,
            in("r4") shifts.after,
            inout("r5") scales.as_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

/// `quantized[i] = (upper half of (values[i] << shift) * reciprocal + 2^21) >> 22`.
#[inline(never)]
pub fn quantize(values: &[i32], shift: u32, reciprocal: i32, quantized: &mut [i8]) {
    let count = values.len().min(quantized.len());
    // SAFETY: reads `count` elements of `values`, writes as many of `quantized`.
    unsafe {
        asm!(
            "vdup.32 q0, r1",
            "wlstp.32 lr, r2, 3f",
            "2:",
            "vldrw.u32 q1, [r0], #16",
            "vshl.s32 q1, r3",
            "vmulh.s32 q1, q1, q0",
            "vrshr.s32 q1, q1, #22",
            "vstrb.32 q1, [r4], #4",
            "letp lr, 2b",
            "3:",
            inout("r0") values.as_ptr() => _,
            in("r1") reciprocal,
            in("r2") count,
            in("r3") shift,
            inout("r4") quantized.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

/// Adds a coded row times a multiplier, as [`rescale`] has it, to `values`.
#[inline(never)]
pub fn add_row(values: &mut [i32], row: &[u8], multiplier: u32, shifts: Shifts) {
    let count = values.len().min(row.len());
    // SAFETY: reads `count` elements of `row`, reads and writes as many of `values`.
    unsafe {
        asm!(
            "vdup.32 q0, r1",
            // Flips the highest bit of even columns, and those that it was extended to.
            "vmov.i64 q2, #0x00000000ffffffff",
            "vshl.i32 q2, q2, #7",
            // The least value of a sum.
            "vmov.i32 q3, #0x80000000",
            "vmov.i32 q1, #0x1",
            "vadd.i32 q3, q3, q1",
            "wlstp.32 lr, r2, 3f",
            "2:",
            "vldrb.s32 q1, [r5], #4",
            "veor q1, q1, q2",
            "vshl.s32 q1, r3",
            "vmulh.s32 q1, q1, q0",
            "vrshl.s32 q1, r4",
            "vldrw.u32 q4, [r0]",
            "vqadd.s32 q1, q1, q4",
            "vmax.s32 q1, q1, q3",
            "vstrw.32 q1, [r0], #16",
            "letp lr, 2b",
            "3:",
            inout("r0") values.as_mut_ptr() => _,
            in("r1") multiplier,
            in("r2") count,
            in("r3") shifts.left,
            in("r4") shifts.after,
            inout("r5") row.as_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _,
            out("d5") _, out("d6") _, out("d7") _, out("d8") _, out("d9") _,
            options(nostack),
        );
    }
}
