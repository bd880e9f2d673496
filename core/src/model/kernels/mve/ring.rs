//! How keys and values lie in the ring: keys as rows `[slot, d_head]`, values as columns `[d_head, slot]`,
//! so that the products of eight slots become one sum.

use crate::model::weights::MAX_WINDOW;
use core::arch::asm;

/// Writes row `slot` of the keys of a head.
pub fn store_key(key: &[i8], slot: usize, keys: &mut [i8]) {
    let row = keys.get_mut(slot.saturating_mul(key.len())..).unwrap_or(&mut []);
    for (stored, element) in row.iter_mut().zip(key) {
        *stored = *element;
    }
}

/// Writes row `slot` of the values of a head, which are all of its slots: an element to each column.
pub fn store_value(value: &[i8], slot: usize, values: &mut [i8]) {
    let slots = values.len().checked_div(value.len()).unwrap_or(0);
    if slot < slots && slots <= MAX_WINDOW {
        // SAFETY: each element has a column of `slots`, more than `slot`.
        unsafe { scatter(value, values.as_mut_ptr().wrapping_add(slot), slots) };
    }
}

/// # Safety
///
/// `to` and every `stride` behind it are writable, one for each of `elements`; eight strides have 16
/// bits.
#[inline(never)]
unsafe fn scatter(elements: &[i8], to: *mut i8, stride: usize) {
    // SAFETY: writes what the caller vouches for.
    unsafe {
        asm!(
            "vidup.u16 q1, r4, #1",
            "vmul.i16 q1, q1, r3",
            "wlstp.16 lr, r2, 3f",
            "2:",
            "vldrb.u16 q0, [r0], #8",
            "vstrb.16 q0, [r1, q1]",
            "add r1, r1, r3, lsl #3",
            "letp lr, 2b",
            "3:",
            inout("r0") elements.as_ptr() => _,
            inout("r1") to => _,
            in("r2") elements.len(),
            in("r3") stride,
            inout("r4") 0 => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

/// Elements `column`, which is even, and `column + 1` of row `slot` of the keys of a head.
pub fn key(keys: &[i8], slot: usize, column: usize, width: usize) -> [i8; 2] {
    [column, column + 1].map(|column| keys.get(slot * width + column).copied().unwrap_or(0))
}

/// The same of the values, which are all slots of the head.
pub fn value(values: &[i8], slot: usize, column: usize, width: usize) -> [i8; 2] {
    let slots = values.len().checked_div(width).unwrap_or(0);
    [column, column + 1].map(|column| values.get(column * slots + slot).copied().unwrap_or(0))
}
