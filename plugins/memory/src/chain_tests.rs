//! Tests of pointer chains in our own memory.

use super::*;

fn pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn address_of<T>(value: &T) -> usize {
    std::ptr::from_ref(value) as usize
}

fn i32_at(chain: &Chain, index: usize) -> Option<i32> {
    chain.value(index).map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap()))
}

fn pointers(start: usize, path: &[usize]) -> Way<'_> {
    Way { start, width: PointerWidth::Bytes8, path, pointers: true, length: 4 }
}

/// A world in our own memory: `world[2]` points to a player, `player[1]` to stats.
struct World {
    stats: Box<[i32; 8]>,
    player: Box<[usize; 4]>,
    world: Box<[usize; 4]>,
    root: Box<usize>,
}

impl World {
    fn new(first: i32) -> Self {
        let stats = Box::new([0, 1, 2, 3, 4, 5, 6, 7].map(|value| value + first));
        let player = Box::new([0, address_of(&*stats), 0, 0]);
        let world = Box::new([0, 0, address_of(&*player), 0]);
        let root = Box::new(address_of(&*world));
        Self { stats, player, world, root }
    }

    fn root(&self) -> usize {
        address_of(&*self.root)
    }
}

/// Tells the compiler that somebody looks at it.
fn read(chain: &mut Chain, worlds: &[&World]) -> usize {
    let mut reads = 0;
    for world in worlds {
        std::hint::black_box((&world.stats, &world.player, &world.world, &world.root));
    }
    chain.read(pid(), || reads += 1).unwrap();
    reads
}

#[test]
fn the_path_is_followed_and_its_pointers_are_shared() {
    let world = World::new(100);
    let mut chain = Chain::new(&[
        pointers(world.root(), &[16, 8, 4]),
        pointers(world.root(), &[16, 8, 12]),
        Way {
            width: PointerWidth::Bytes8,
            start: address_of(&world.stats[5]),
            path: &[],
            pointers: true,
            length: 4,
        },
        Way {
            width: PointerWidth::Bytes8,
            start: address_of(&world.stats[0]),
            path: &[24],
            pointers: false,
            length: 4,
        },
    ]);
    assert_eq!(chain.held.len(), 3);
    let cold = read(&mut chain, &[&world]);
    let values: Vec<_> = (0..4).map(|index| i32_at(&chain, index)).collect();
    assert_eq!(values, [Some(101), Some(103), Some(105), Some(106)]);
    // The first time, each level has to be found; then one read does it.
    assert_eq!((cold, read(&mut chain, &[&world])), (4, 1));
}

#[test]
fn a_value_that_changes_is_seen_with_one_read() {
    let mut world = World::new(0);
    let mut chain = Chain::new(&[pointers(world.root(), &[16, 8, 4])]);
    read(&mut chain, &[&world]);
    world.stats[1] = -5;
    assert_eq!(read(&mut chain, &[&world]), 1);
    assert_eq!(i32_at(&chain, 0), Some(-5));
}

#[test]
fn an_object_that_moves_is_followed_within_the_tick() {
    let mut world = World::new(100);
    let other = World::new(200);
    let mut chain = Chain::new(&[pointers(world.root(), &[16, 8, 4])]);
    read(&mut chain, &[&world, &other]);
    world.player[1] = address_of(&*other.stats);
    assert_eq!(read(&mut chain, &[&world, &other]), 2);
    assert_eq!(i32_at(&chain, 0), Some(201));
    *world.root = address_of(&*other.world);
    assert!(read(&mut chain, &[&world, &other]) <= 4);
    assert_eq!(i32_at(&chain, 0), Some(201));
    assert_eq!(read(&mut chain, &[&world, &other]), 1);
}

#[test]
fn a_null_pointer_gives_nothing_and_heals() {
    let mut world = World::new(100);
    let mut chain = Chain::new(&[
        pointers(world.root(), &[16, 8, 4]),
        Way {
            width: PointerWidth::Bytes8,
            start: address_of(&world.stats[1]),
            path: &[],
            pointers: true,
            length: 4,
        },
    ]);
    read(&mut chain, &[&world]);
    for dead in [0, 1, 0xdead_beef_dead_beef] {
        let player = std::mem::replace(&mut world.world[2], dead);
        read(&mut chain, &[&world]);
        assert_eq!((i32_at(&chain, 0), i32_at(&chain, 1)), (None, Some(101)));
        world.world[2] = player;
        read(&mut chain, &[&world]);
        assert_eq!(i32_at(&chain, 0), Some(101));
    }
}

#[test]
fn a_target_that_never_holds_still_gives_nothing_rather_than_a_wrong_value() {
    let world = World::new(100);
    let other = World::new(200);
    let root = std::sync::atomic::AtomicUsize::new(address_of(&*world.world));
    let mut chain = Chain::new(&[
        pointers(address_of(&root), &[16, 8, 4]),
        Way {
            width: PointerWidth::Bytes8,
            start: address_of(&world.stats[1]),
            path: &[],
            pointers: true,
            length: 4,
        },
    ]);
    let mut turn = 0;
    let worlds = [address_of(&*world.world), address_of(&*other.world)];
    chain
        .read(pid(), || {
            turn += 1;
            root.store(worlds[turn % 2], std::sync::atomic::Ordering::SeqCst);
        })
        .unwrap();
    assert_eq!((i32_at(&chain, 0), i32_at(&chain, 1)), (None, Some(101)));
    std::hint::black_box((
        &world.stats,
        &world.player,
        &world.world,
        &other.stats,
        &other.player,
        &other.world,
    ));
}
