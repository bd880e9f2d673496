//! Nothing an agent does allocates: the global allocator of this test counts, for each thread alone, as the test
//! harness allocates beside it.

use algodistill_core::model::weights::{shapes, write, TensorParts};
use algodistill_core::{Agent, Dimensions, Encoders, Interface, Model, PortableRng, Sampling};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A weights file with pseudo-random tensors.
fn weights() -> Vec<u8> {
    let interface = Interface::discrete(&[9, 9], 5, &[0.0, 1.0]).unwrap();
    let dimensions = Dimensions {
        layers: 2,
        d_model: 32,
        heads: 2,
        kv_heads: 2,
        d_ff: 64,
        window: 24,
        actions: 5,
        final_words: 2,
        encoders: Encoders::NONE,
    };
    let mut rng = PortableRng::new(0, 0);
    let tensors: Vec<_> = shapes(&dimensions, &interface)
        .iter()
        .map(|[rows, columns]| {
            let data: Vec<i8> = (0..rows * columns).map(|_| rng.next_u32() as i8).collect();
            (vec![2000u16; *rows], data)
        })
        .collect();
    let parts: Vec<_> =
        tensors.iter().map(|(scales, data)| TensorParts { scales, data, exponent: 20 }).collect();
    write(&dimensions, &interface, &[], &parts, "{}").unwrap()
}

#[test]
fn the_agent_never_allocates() {
    let file = weights();
    let mut workspace = vec![0; algodistill_core::workspace_words(&file).unwrap()];
    let mut snapshot = vec![0; 1 << 16];
    let before = ALLOCATIONS.get();

    let model = Model::decode(&file).unwrap();
    let mut agent = Agent::new(model, &mut workspace).unwrap();
    let mut rng = PortableRng::new(1, 0);
    for step in 0..if cfg!(miri) { 1 } else { 100 } {
        agent.act(&[step % 9, 3], &mut rng).unwrap();
        agent.feedback(1.0, (step % 20 == 19).then_some(&[8, 0])).unwrap();
    }
    agent.set_sampling(Sampling::Greedy).unwrap();
    let len = agent.snapshot(&mut snapshot).unwrap();
    agent.reset();
    agent.restore(&snapshot[..len]).unwrap();
    assert!(agent.restore(&snapshot).is_err());
    assert!(agent.act(&[99, 0], &mut rng).is_err());
    agent.act(&[0, 0], &mut rng).unwrap();

    assert_eq!(ALLOCATIONS.get(), before);
    assert!(agent.logits().iter().any(|logit| *logit != 0), "the model computes something");
}
