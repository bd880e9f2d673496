//! The arithmetic that the machine can do at best, by a product of large matrices.

use std::time::{Duration, Instant};

/// Rows and columns of the matrices.
const SIZE: usize = 1024;
/// Runs at least, the first of which warms up.
const RUNS: usize = 4;

/// The fastest of several products of f32 matrices on `threads` threads, in 10^9 operations per
/// second.
pub fn gigaflops(threads: usize) -> f64 {
    let (left, right) = (vec![1.0_f32; SIZE * SIZE], vec![0.5_f32; SIZE * SIZE]);
    let mut output = vec![0.0_f32; SIZE * SIZE];
    let begun = Instant::now();
    let mut fastest = f64::INFINITY;
    let mut runs = 0;
    while runs < RUNS || begun.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        multiply(&left, &right, &mut output, threads);
        fastest = fastest.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    assert_eq!(output[0], 0.5 * SIZE as f32, "the product is right");
    2.0 * (SIZE * SIZE * SIZE) as f64 / fastest / 1e9
}

fn multiply(left: &[f32], right: &[f32], output: &mut [f32], threads: usize) {
    let parallelism = match threads {
        1 => gemm::Parallelism::None,
        _ => gemm::Parallelism::Rayon(threads),
    };
    let (rows, columns) = (SIZE as isize, 1);
    assert!(left.len() == SIZE * SIZE && right.len() == SIZE * SIZE && output.len() == SIZE * SIZE);
    // SAFETY: the three are row-major matrices of SIZE x SIZE elements, and only `output` is
    // written.
    unsafe {
        gemm::gemm(
            SIZE,
            SIZE,
            SIZE,
            output.as_mut_ptr(),
            columns,
            rows,
            false,
            left.as_ptr(),
            columns,
            rows,
            right.as_ptr(),
            columns,
            rows,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
