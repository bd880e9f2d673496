//! Columns in huge pages: of the time to write a step into fresh memory, a page fault every 4096
//! bytes took a third.

#![allow(unsafe_code)]

/// Smallest huge page of the processors that have them, x86-64 and AArch64.
const HUGE_PAGE: usize = 2 << 20;

/// `len` zeros, in huge pages where the system gives them (Linux, unless it was told never to).
pub fn zeros<T: Copy + Default>(len: usize) -> Vec<T> {
    let column = vec![T::default(); len];
    advise(&column);
    column
}

#[cfg(target_os = "linux")]
fn advise<T>(column: &[T]) {
    let first = column.as_ptr().addr();
    let begin = first.next_multiple_of(HUGE_PAGE);
    let end = (first + size_of_val(column)) / HUGE_PAGE * HUGE_PAGE;
    if begin < end {
        let begin_in = column.as_ptr().cast::<u8>().wrapping_add(begin - first);
        // SAFETY: the range lies within the column, and this advice changes no memory. A refusal costs
        // speed only.
        unsafe { libc::madvise(begin_in.cast_mut().cast(), end - begin, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_column: &[T]) {}
