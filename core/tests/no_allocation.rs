//! Nothing an agent does allocates: the global allocator of this test counts.

use algodistill_core::model::weights::{checksum, padded, shapes, Metadata, HEADER_LEN};
use algodistill_core::{Agent, Dimensions, Interface, Model, PortableRng, Sampling};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A weights file written by hand, with pseudo-random tensors.
fn weights() -> Vec<u8> {
    let interface = Interface::discrete(&[9, 9], 5, &[0.0, 1.0]).unwrap();
    let dimensions = Dimensions { layers: 2, d_model: 32, heads: 2, d_ff: 64, window: 24, actions: 5 };
    let shapes = shapes(&dimensions, &interface);
    let exponents = shapes.iter().map(|_| 20).collect();
    let mut buffer = [0u8; 256];
    let metadata = postcard::to_slice(&Metadata { interface, exponents, card: "{}" }, &mut buffer).unwrap();
    let mut file = vec![0u8; HEADER_LEN];
    let append = |file: &mut Vec<u8>, bytes: &[u8]| {
        file.extend_from_slice(bytes);
        file.resize(padded(file.len()), 0);
    };
    append(&mut file, metadata);
    let mut rng = PortableRng::new(0, 0);
    for [rows, columns] in shapes {
        append(&mut file, &(0..rows).flat_map(|_| 2000u16.to_le_bytes()).collect::<Vec<u8>>());
        append(&mut file, &(0..rows * columns).map(|_| rng.next_u32() as u8).collect::<Vec<u8>>());
    }
    file[..4].copy_from_slice(b"ADW\0");
    file[4] = algodistill_core::model::FORMAT_VERSION as u8;
    let length = file.len() as u32;
    file[8..12].copy_from_slice(&length.to_le_bytes());
    for (bytes, field) in file[16..28].chunks_mut(2).zip([2u16, 32, 2, 64, 24, 5]) {
        bytes.copy_from_slice(&field.to_le_bytes());
    }
    file[28..32].copy_from_slice(&(metadata.len() as u32).to_le_bytes());
    let crc = checksum(&file);
    file[12..16].copy_from_slice(&crc.to_le_bytes());
    file
}

#[test]
fn the_agent_never_allocates() {
    let file = weights();
    let mut workspace = vec![0; algodistill_core::workspace_words(&file).unwrap()];
    let mut snapshot = vec![0; 1 << 16];
    let before = ALLOCATIONS.load(Ordering::Relaxed);

    let model = Model::decode(&file).unwrap();
    let mut agent = Agent::new(model, &mut workspace).unwrap();
    let mut rng = PortableRng::new(1, 0);
    for step in 0..if cfg!(miri) { 1 } else { 100 } {
        agent.act(&[step % 9, 3], &mut rng).unwrap();
        agent.feedback(1.0, step % 20 == 19).unwrap();
    }
    agent.set_sampling(Sampling::Greedy).unwrap();
    let len = agent.snapshot(&mut snapshot).unwrap();
    agent.reset();
    agent.restore(&snapshot[..len]).unwrap();
    assert!(agent.restore(&snapshot).is_err());
    assert!(agent.act(&[99, 0], &mut rng).is_err());
    agent.act(&[0, 0], &mut rng).unwrap();

    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before);
    assert!(agent.logits().iter().any(|logit| *logit != 0), "the model computes something");
}
