//! Which processors a rank may use, and how many threads that makes where several ranks may use the
//! same ones.

#![allow(unsafe_code)]

/// Processors that a mask has room for: those of `cpu_set_t`.
const PROCESSORS: usize = 1024;

/// The processors that this process may run on, one bit each; a launcher may have bound it to a few
/// of them.
#[cfg(target_os = "linux")]
pub fn own() -> [u8; PROCESSORS / 8] {
    let mut mask = [0; PROCESSORS / 8];
    // SAFETY: the kernel writes at most the size given, and any bytes are a valid mask. Where it fails
    // the mask stays empty.
    unsafe { libc::sched_getaffinity(0, mask.len(), mask.as_mut_ptr().cast()) };
    mask
}

/// Elsewhere a process is bound to nothing.
#[cfg(not(target_os = "linux"))]
pub fn own() -> [u8; PROCESSORS / 8] {
    [0; PROCESSORS / 8]
}

/// Threads of a rank, at least 1, from the masks of the ranks of its machine, its own first: a
/// processor that several ranks may use counts for a part of one.
pub fn threads(masks: &[Vec<u8>]) -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    share(masks).unwrap_or(available / masks.len().max(1)).clamp(1, available)
}

fn share(masks: &[Vec<u8>]) -> Option<usize> {
    let has = |mask: &[u8], bit: usize| mask.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
    let own = masks.first().filter(|mask| mask.iter().any(|&byte| byte != 0))?;
    let users = |bit| masks.iter().filter(|mask| has(mask, bit)).count();
    let share: f64 = (0..8 * own.len()).filter(|&bit| has(own, bit)).map(|bit| 1.0 / users(bit) as f64).sum();
    // A third, three times.
    Some((share + 1e-6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_may_run_somewhere() {
        assert!(own().iter().any(|&bits| bits != 0));
    }

    #[test]
    fn ranks_share_the_processors_that_they_have_in_common() {
        assert_eq!(share(&[vec![0b0000_1111, 1]]), Some(5));
        // Bound to one core each.
        assert_eq!(share(&[vec![0b01], vec![0b10]]), Some(1));
        // Not bound: three ranks on nine processors.
        assert_eq!(share(&vec![vec![0xFF, 1]; 3]), Some(3));
        // Two ranks on each of two sockets.
        assert_eq!(share(&[vec![0x0F], vec![0xF0], vec![0x0F], vec![0xF0]]), Some(2));
        assert_eq!(share(&[vec![0, 0]]), None);
        assert_eq!(threads(&vec![vec![1]; 64]), 1);
    }
}
