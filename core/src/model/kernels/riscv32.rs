//! RISC-V with multiplication and without SIMD, where a product of int8 costs three instructions: load,
//! multiply, add. The compiler would move addresses and keep sums in memory between them; 31 registers
//! have room for all that eight rows need.

use super::coding::Operand;
use super::scalar;
use super::softmax::score;
use core::arch::asm;

pub(super) use super::softmax::softmax_in_fours as softmax;

/// See [`super::Kernels::dots`]. Eight rows share the loads of the vector.
#[inline(never)]
pub(super) fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    let Some(available) = rows.len().checked_sub(columns) else { return };
    let whole = available.checked_div(stride).unwrap_or(0) + 1;
    let start = vector.plain_start();
    let mut done = 0;
    if columns.is_multiple_of(8) && columns > 0 {
        for block in dots.as_chunks_mut::<8>().0.iter_mut().take(whole / 8) {
            let first = rows.as_ptr().wrapping_add(done * stride);
            // SAFETY: eight rows of so many columns, a multiple of eight and not 0, are within `rows`.
            unsafe { eight_dots(vector.plain, first, stride, start, block) };
            done += 8;
        }
    }
    let (rest, last) = (rows.get(done * stride..).unwrap_or(&[]), dots.get_mut(done..).unwrap_or(&mut []));
    scalar::dots(vector, rest, stride, last);
}

/// The dot products of eight coded rows: 25.6 instructions for a column, 3 where the vector is 0, as half
/// of it is behind a ReLU.
///
/// # Safety
///
/// `vector` is not empty. Eight rows, `stride` apart, have as many columns, a multiple of eight.
#[inline(always)]
unsafe fn eight_dots(vector: &[[i8; 4]], first: *const u8, stride: usize, start: i32, dots: &mut [i32; 8]) {
    // a0 to a7 point at the rows, s2 to s9 are the sums.
    macro_rules! column {
        ($load:literal, $column:literal) => {
            concat!(
                "lb t4, ",
                $column,
                "(t5)\n",
                "beqz t4, 4f\n",
                $load,
                " t0, ",
                $column,
                "(a0)\n",
                $load,
                " t1, ",
                $column,
                "(a1)\n",
                $load,
                " t2, ",
                $column,
                "(a2)\n",
                $load,
                " t3, ",
                $column,
                "(a3)\n",
                "mul t0, t0, t4\n",
                "mul t1, t1, t4\n",
                "mul t2, t2, t4\n",
                "mul t3, t3, t4\n",
                "add s2, s2, t0\n",
                "add s3, s3, t1\n",
                "add s4, s4, t2\n",
                "add s5, s5, t3\n",
                $load,
                " t0, ",
                $column,
                "(a4)\n",
                $load,
                " t1, ",
                $column,
                "(a5)\n",
                $load,
                " t2, ",
                $column,
                "(a6)\n",
                $load,
                " t3, ",
                $column,
                "(a7)\n",
                "mul t0, t0, t4\n",
                "mul t1, t1, t4\n",
                "mul t2, t2, t4\n",
                "mul t3, t3, t4\n",
                "add s6, s6, t0\n",
                "add s7, s7, t1\n",
                "add s8, s8, t2\n",
                "add s9, s9, t3\n",
                "4:"
            )
        };
    }
    let range = vector.as_ptr_range();
    // SAFETY: reads what the caller vouches for, and writes the dot products.
    unsafe {
        asm!(
            "add a1, a0, s10",
            "add a2, a1, s10",
            "add a3, a2, s10",
            "add a4, a3, s10",
            "add a5, a4, s10",
            "add a6, a5, s10",
            "add a7, a6, s10",
            "mv s3, s2",
            "mv s4, s2",
            "mv s5, s2",
            "mv s6, s2",
            "mv s7, s2",
            "mv s8, s2",
            "mv s9, s2",
            // 16 columns a turn; of an odd number of eights, the first turn is the second half.
            "sub t0, t6, t5",
            "andi t0, t0, 8",
            "beqz t0, 3f",
            "addi t5, t5, -8",
            "addi a0, a0, -8",
            "addi a1, a1, -8",
            "addi a2, a2, -8",
            "addi a3, a3, -8",
            "addi a4, a4, -8",
            "addi a5, a5, -8",
            "addi a6, a6, -8",
            "addi a7, a7, -8",
            "j 5f",
            "3:",
            column!("lbu", "0"),
            column!("lb", "1"),
            column!("lbu", "2"),
            column!("lb", "3"),
            column!("lbu", "4"),
            column!("lb", "5"),
            column!("lbu", "6"),
            column!("lb", "7"),
            "5:",
            column!("lbu", "8"),
            column!("lb", "9"),
            column!("lbu", "10"),
            column!("lb", "11"),
            column!("lbu", "12"),
            column!("lb", "13"),
            column!("lbu", "14"),
            column!("lb", "15"),
            "addi t5, t5, 16",
            "addi a0, a0, 16",
            "addi a1, a1, 16",
            "addi a2, a2, 16",
            "addi a3, a3, 16",
            "addi a4, a4, 16",
            "addi a5, a5, 16",
            "addi a6, a6, 16",
            "addi a7, a7, 16",
            "bne t5, t6, 3b",
            "sw s2, 0(s11)",
            "sw s3, 4(s11)",
            "sw s4, 8(s11)",
            "sw s5, 12(s11)",
            "sw s6, 16(s11)",
            "sw s7, 20(s11)",
            "sw s8, 24(s11)",
            "sw s9, 28(s11)",
            inout("t5") range.start => _,
            in("t6") range.end,
            in("s10") stride,
            in("s11") dots,
            inout("a0") first => _,
            inout("s2") start => _,
            out("a1") _,
            out("a2") _,
            out("a3") _,
            out("a4") _,
            out("a5") _,
            out("a6") _,
            out("a7") _,
            out("s3") _,
            out("s4") _,
            out("s5") _,
            out("s6") _,
            out("s7") _,
            out("s8") _,
            out("s9") _,
            out("t0") _,
            out("t1") _,
            out("t2") _,
            out("t3") _,
            out("t4") _,
            options(nostack),
        );
    }
}

/// See [`super::Kernels::scores`]. Keys are coded as rows of matrices are; eight slots share the loads of
/// the query.
#[inline(never)]
pub(super) fn scores(query: &Operand, keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
    let width = query.columns();
    let start = query.plain_start();
    let slots = scores.len().min(key_scales.len()).min(keys.len().checked_div(width).unwrap_or(0));
    if width == 16 && slots > 0 {
        let scales = key_scales.get(..slots).unwrap_or(&[]).as_ptr_range();
        // SAFETY: there are slots, and each has a scale, a score, and a key of 16 columns, as the query has.
        return unsafe {
            scores_of_16(query.plain.as_ptr(), start, keys.as_ptr(), scales, factor, scores.as_mut_ptr())
        };
    }
    let rows: &[u8] = bytemuck::try_cast_slice(keys).unwrap_or(&[]);
    let whole = if width.is_multiple_of(8) { rows.len().checked_div(8 * width).unwrap_or(0) } else { 0 };
    let (blocks, scales) = (scores.as_chunks_mut::<8>().0, key_scales.as_chunks::<8>().0);
    let whole = whole.min(blocks.len()).min(scales.len());
    let mut first = rows.as_ptr();
    for (block, scales) in blocks.iter_mut().zip(scales).take(whole) {
        let mut dots = [0; 8];
        // SAFETY: eight rows of so many columns, a multiple of eight and not 0, are within `rows`.
        unsafe { eight_dots(query.plain, first, width, start, &mut dots) };
        for ((stored, dot), scale) in block.iter_mut().zip(dots).zip(scales) {
            *stored = score(dot, *scale, factor);
        }
        first = first.wrapping_add(8 * width);
    }
    let rest = rows.chunks_exact(width.max(1)).zip(key_scales);
    for (stored, (row, scale)) in scores.iter_mut().zip(rest).skip(8 * whole) {
        *stored = score(start + scalar::dot(row, query.plain), *scale, factor);
    }
}

/// Scores of slots of heads as wide as 16, whose query stays in registers: 61 instructions a slot.
///
/// # Safety
///
/// `scales` is not their end, and each of them has a score and a key of 16 columns.
#[inline(always)]
unsafe fn scores_of_16(
    query: *const [i8; 4],
    start: i32,
    keys: *const i8,
    scales: core::ops::Range<*const u16>,
    factor: i32,
    scores: *mut i16,
) {
    // SAFETY: reads and writes what the caller vouches for.
    unsafe {
        asm!(
            "lb a0, 0(ra)",
            "lb a1, 1(ra)",
            "lb a2, 2(ra)",
            "lb a3, 3(ra)",
            "lb a4, 4(ra)",
            "lb a5, 5(ra)",
            "lb a6, 6(ra)",
            "lb a7, 7(ra)",
            "lb s2, 8(ra)",
            "lb s3, 9(ra)",
            "lb s4, 10(ra)",
            "lb s5, 11(ra)",
            "lb s6, 12(ra)",
            "lb s7, 13(ra)",
            "lb s8, 14(ra)",
            "lb s9, 15(ra)",
            "2:",
            "lbu t1, 0(s11)",
            "lb t2, 1(s11)",
            "lbu ra, 2(s11)",
            "mul t1, t1, a0",
            "mul t2, t2, a1",
            "mul ra, ra, a2",
            "add t0, t6, t1",
            "add t0, t0, t2",
            "add t0, t0, ra",
            "lb t1, 3(s11)",
            "lbu t2, 4(s11)",
            "lb ra, 5(s11)",
            "mul t1, t1, a3",
            "mul t2, t2, a4",
            "mul ra, ra, a5",
            "add t0, t0, t1",
            "add t0, t0, t2",
            "add t0, t0, ra",
            "lbu t1, 6(s11)",
            "lb t2, 7(s11)",
            "lbu ra, 8(s11)",
            "mul t1, t1, a6",
            "mul t2, t2, a7",
            "mul ra, ra, s2",
            "add t0, t0, t1",
            "add t0, t0, t2",
            "add t0, t0, ra",
            "lb t1, 9(s11)",
            "lbu t2, 10(s11)",
            "lb ra, 11(s11)",
            "mul t1, t1, s3",
            "mul t2, t2, s4",
            "mul ra, ra, s5",
            "add t0, t0, t1",
            "add t0, t0, t2",
            "add t0, t0, ra",
            "lbu t1, 12(s11)",
            "lb t2, 13(s11)",
            "lbu ra, 14(s11)",
            "mul t1, t1, s6",
            "mul t2, t2, s7",
            "mul ra, ra, s8",
            "add t0, t0, t1",
            "add t0, t0, t2",
            "add t0, t0, ra",
            "lb t1, 15(s11)",
            "mul t1, t1, s9",
            "add t0, t0, t1",
            "slli t0, t0, 8",
            "lhu t1, 0(t3)",
            "addi t3, t3, 2",
            "slli t1, t1, 16",
            "mulh t0, t0, t1",
            "addi s11, s11, 16",
            "mulh t0, t0, s10",
            // To 16 bits.
            "slli t1, t0, 16",
            "srai t1, t1, 16",
            "beq t0, t1, 3f",
            "srai t0, t0, 31",
            "li t1, 0x7fff",
            "xor t0, t0, t1",
            "3:",
            "sh t0, 0(t5)",
            "addi t5, t5, 2",
            "bne t3, t4, 2b",
            inout("ra") query => _,
            in("t6") start,
            inout("s11") keys => _,
            inout("t3") scales.start => _,
            in("t4") scales.end,
            in("s10") factor,
            inout("t5") scores => _,
            out("a0") _,
            out("a1") _,
            out("a2") _,
            out("a3") _,
            out("a4") _,
            out("a5") _,
            out("a6") _,
            out("a7") _,
            out("s2") _,
            out("s3") _,
            out("s4") _,
            out("s5") _,
            out("s6") _,
            out("s7") _,
            out("s8") _,
            out("s9") _,
            out("t0") _,
            out("t1") _,
            out("t2") _,
            options(nostack),
        );
    }
}

/// See [`super::Kernels::weighted_values`]. 16 columns at a time stay in registers.
#[inline(never)]
pub(super) fn weighted_values(weights: &[i16], values: &[i8], outputs: &mut [i32]) {
    let width = outputs.len();
    let rows = values.len().checked_div(width).unwrap_or(0);
    let weights = weights.get(..weights.len().min(rows)).unwrap_or(&[]);
    let mut columns = values.as_ptr();
    let pairs = weights.as_chunks::<2>();
    let (blocks, rest) = match pairs {
        ([_, ..], []) => outputs.as_chunks_mut::<16>(),
        _ => (&mut [] as &mut [_], outputs),
    };
    for block in blocks {
        // SAFETY: each of the weights, which are not none, has a row of `width` values, of which these are
        // within.
        unsafe { sixteen_columns(pairs.0, columns, width, block) };
        columns = columns.wrapping_add(16);
    }
    let (blocks, rest) = rest.as_chunks_mut::<8>();
    for block in blocks {
        // SAFETY: each of the weights has a row of `width` values, of which these are within.
        *block = unsafe { some_columns(weights, columns, width) };
        columns = columns.wrapping_add(8);
    }
    for block in rest.as_chunks_mut::<4>().0 {
        // SAFETY: as above.
        *block = unsafe { some_columns(weights, columns, width) };
        columns = columns.wrapping_add(4);
    }
}

/// The weighted sums of 16 columns: 51 instructions for each slot.
///
/// # Safety
///
/// There are weights. For each of them 16 values are readable at `values` and every `width` behind it.
#[inline(always)]
unsafe fn sixteen_columns(weights: &[[i16; 2]], values: *const i8, width: usize, sums: &mut [i32; 16]) {
    // a0 to a7 and s2 to s9 are the sums.
    macro_rules! slot {
        ($weight:literal) => {
            concat!(
                "lh s10, ",
                $weight,
                "(t4)\n",
                "lb t0, 0(s11)\n",
                "lb t1, 1(s11)\n",
                "lb t2, 2(s11)\n",
                "lb ra, 3(s11)\n",
                "mul t0, t0, s10\n",
                "mul t1, t1, s10\n",
                "mul t2, t2, s10\n",
                "mul ra, ra, s10\n",
                "add a0, a0, t0\n",
                "add a1, a1, t1\n",
                "add a2, a2, t2\n",
                "add a3, a3, ra\n",
                "lb t0, 4(s11)\n",
                "lb t1, 5(s11)\n",
                "lb t2, 6(s11)\n",
                "lb ra, 7(s11)\n",
                "mul t0, t0, s10\n",
                "mul t1, t1, s10\n",
                "mul t2, t2, s10\n",
                "mul ra, ra, s10\n",
                "add a4, a4, t0\n",
                "add a5, a5, t1\n",
                "add a6, a6, t2\n",
                "add a7, a7, ra\n",
                "lb t0, 8(s11)\n",
                "lb t1, 9(s11)\n",
                "lb t2, 10(s11)\n",
                "lb ra, 11(s11)\n",
                "mul t0, t0, s10\n",
                "mul t1, t1, s10\n",
                "mul t2, t2, s10\n",
                "mul ra, ra, s10\n",
                "add s2, s2, t0\n",
                "add s3, s3, t1\n",
                "add s4, s4, t2\n",
                "add s5, s5, ra\n",
                "lb t0, 12(s11)\n",
                "lb t1, 13(s11)\n",
                "lb t2, 14(s11)\n",
                "lb ra, 15(s11)\n",
                "mul t0, t0, s10\n",
                "mul t1, t1, s10\n",
                "mul t2, t2, s10\n",
                "mul ra, ra, s10\n",
                "add s6, s6, t0\n",
                "add s7, s7, t1\n",
                "add s8, s8, t2\n",
                "add s9, s9, ra\n",
                "add s11, s11, t3"
            )
        };
    }
    let range = weights.as_ptr_range();
    // SAFETY: reads what the caller vouches for, and writes the sums.
    unsafe {
        asm!(
            "mv a0, zero",
            "mv a1, zero",
            "mv a2, zero",
            "mv a3, zero",
            "mv a4, zero",
            "mv a5, zero",
            "mv a6, zero",
            "mv a7, zero",
            "mv s2, zero",
            "mv s3, zero",
            "mv s4, zero",
            "mv s5, zero",
            "mv s6, zero",
            "mv s7, zero",
            "mv s8, zero",
            "mv s9, zero",
            "2:",
            slot!("0"),
            slot!("2"),
            "addi t4, t4, 4",
            "bne t4, t5, 2b",
            "sw a0, 0(t6)",
            "sw a1, 4(t6)",
            "sw a2, 8(t6)",
            "sw a3, 12(t6)",
            "sw a4, 16(t6)",
            "sw a5, 20(t6)",
            "sw a6, 24(t6)",
            "sw a7, 28(t6)",
            "sw s2, 32(t6)",
            "sw s3, 36(t6)",
            "sw s4, 40(t6)",
            "sw s5, 44(t6)",
            "sw s6, 48(t6)",
            "sw s7, 52(t6)",
            "sw s8, 56(t6)",
            "sw s9, 60(t6)",
            inout("s11") values => _,
            in("t3") width,
            inout("t4") range.start => _,
            in("t5") range.end,
            in("t6") sums,
            out("a0") _,
            out("a1") _,
            out("a2") _,
            out("a3") _,
            out("a4") _,
            out("a5") _,
            out("a6") _,
            out("a7") _,
            out("s2") _,
            out("s3") _,
            out("s4") _,
            out("s5") _,
            out("s6") _,
            out("s7") _,
            out("s8") _,
            out("s9") _,
            out("s10") _,
            out("t0") _,
            out("t1") _,
            out("t2") _,
            out("ra") _,
            options(nostack),
        );
    }
}

/// The weighted sums of the first `N` columns of rows.
///
/// # Safety
///
/// For each of the weights, `N` values are readable at `values` and every `width` behind it.
#[inline(always)]
unsafe fn some_columns<const N: usize>(weights: &[i16], values: *const i8, width: usize) -> [i32; N] {
    let mut sums = [0; N];
    let mut row = values;
    for weight in weights {
        // SAFETY: the caller vouches for it.
        let values = unsafe { &*row.cast::<[i8; N]>() };
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += i32::from(*weight) * i32::from(*value);
        }
        row = row.wrapping_add(width);
    }
    sums
}
