//! Both disks through one set of checks, and what the simulated one does to those who forget to sync.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{io, path::Path, sync::Arc};

use host::{Disk, DiskEntry, FaultOp, Host, OpenMode, RealDisk, SimDisk};

fn check(disk: &dyn Disk, root: &Path) {
    let dir = root.join("a/b");
    disk.create_dir_all(&dir).unwrap();
    let path = dir.join("file");
    assert_eq!(disk.open(&path, OpenMode::Read).unwrap_err().kind(), io::ErrorKind::NotFound);
    let file = disk.open(&path, OpenMode::Create).unwrap();
    assert!(file.is_empty().unwrap());
    assert_eq!(file.append(b"hello").unwrap(), 0);
    assert_eq!(file.append(b" world").unwrap(), 5);
    file.write_at(0, b"J").unwrap();
    file.write_at(13, b"!").unwrap();
    assert_eq!(disk.read_all(&path).unwrap(), b"Jello world\0\0!");
    let pieces: Vec<&[u8]> = (0..3_000).map(|at| if at % 3 == 0 { b"".as_slice() } else { b"ab" }).collect();
    file.write_all_at(4, &pieces).unwrap();
    assert_eq!(disk.read_all(&path).unwrap(), [b"Jell".as_slice(), &b"ab".repeat(2_000)].concat());
    file.write_all_at(4, &[b"", b"o w"]).unwrap();
    file.truncate(5).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(file.read_at(2, &mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"llo");
    assert_eq!(file.read_at(9, &mut buffer).unwrap(), 0);
    assert_eq!(file.read_exact_at(2, &mut buffer).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    file.sync_data().unwrap();
    disk.sync_dir(&dir).unwrap();

    disk.rename(&path, &dir.join("renamed")).unwrap();
    disk.replace(&dir.join("state"), b"one").unwrap();
    disk.replace(&dir.join("state"), b"two").unwrap();
    assert_eq!(disk.read_all(&dir.join("state")).unwrap(), b"two");
    let entry = |name: &str, is_dir| DiskEntry { name: name.into(), is_dir };
    assert_eq!(disk.list(&dir).unwrap(), [entry("renamed", false), entry("state", false)]);
    assert_eq!(disk.list(&root.join("a")).unwrap(), [entry("b", true)]);
    assert!(disk.open(&dir.join("state"), OpenMode::CreateEmpty).unwrap().is_empty().unwrap());

    let lock = disk.lock(&root.join("lock")).unwrap();
    assert_eq!(disk.lock(&root.join("lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    drop(disk.lock(&root.join("lock")).unwrap());

    // A handle outlives its name.
    disk.remove(&dir.join("renamed")).unwrap();
    assert_eq!(file.len().unwrap(), 5);
    assert_eq!(disk.remove(&dir.join("renamed")).unwrap_err().kind(), io::ErrorKind::NotFound);
    disk.remove_dir_all(&root.join("a")).unwrap();
    assert!(!disk.exists(&dir).unwrap());
}

#[test]
fn the_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    check(&RealDisk, dir.path());
}

#[test]
fn the_simulated_disk() {
    for disk in [SimDisk::new(1), SimDisk::untracked()] {
        disk.create_dir_all(Path::new("/data")).unwrap();
        check(&disk, Path::new("/data"));
        assert_eq!(disk.used_bytes(), 0);
    }
}

#[test]
fn a_power_loss_takes_only_what_was_not_synced() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let sim = Host::simulated(seed, 0);
        let disk = &sim.host.disk;
        let path = Path::new("/file");
        let file = disk.open(path, OpenMode::Create).unwrap();
        file.append(b"synced").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.append(&[b'x'; 1500]).unwrap();
        file.write_at(0, b"S").unwrap();
        let after = sim.power_loss().host.disk.read_all(path).unwrap();
        assert_eq!(&after[1..6], b"ynced");
        outcomes.insert(after.len());
        assert_eq!(sim.kill().host.disk.read_all(path).unwrap().len(), 1506);
    }
    assert!(outcomes.contains(&6) && outcomes.contains(&1506) && outcomes.len() > 5, "{outcomes:?}");
}

#[test]
fn a_name_is_durable_only_with_its_directory() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..50 {
        let sim = Host::simulated(seed, 0);
        let file = sim.disk.open(Path::new("/file"), OpenMode::Create).unwrap();
        file.append(b"x").unwrap();
        file.sync_data().unwrap();
        let found = sim.power_loss().disk.exists(Path::new("/file")).unwrap();
        if found {
            kept += 1
        } else {
            lost += 1
        }
        sim.disk.sync_dir(Path::new("/")).unwrap();
        assert!(sim.power_loss().disk.exists(Path::new("/file")).unwrap());
    }
    assert!(lost > 0 && kept > 0);
}

#[test]
fn the_fuse_blows_inside_an_operation_and_then_nothing_works() {
    let disk = Arc::new(SimDisk::new(3));
    let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
    disk.crash_after(2);
    file.append(b"one").unwrap();
    assert!(file.append(b"two").is_err());
    assert!(disk.is_dead());
    assert!(file.append(b"three").is_err());
    assert!(disk.open(Path::new("/file"), OpenMode::Read).is_err());
    assert!(disk.kill().read_all(Path::new("/file")).unwrap().starts_with(b"one"));
}

#[test]
fn a_full_disk_takes_a_part_and_recovers() {
    let disk = SimDisk::new(4);
    let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
    disk.set_capacity(Some(4));
    assert_eq!(file.append(b"123456").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.read_all(Path::new("/file")).unwrap(), b"1234");
    disk.set_capacity(None);
    file.write_at(0, b"abcdef").unwrap();
    assert_eq!(disk.used_bytes(), 6);
}

#[test]
fn injected_faults_hit_their_operation_and_heal() {
    let disk = SimDisk::new(5);
    let file = disk.open(Path::new("/some/../file"), OpenMode::Create);
    assert!(file.is_err());
    let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
    disk.inject(FaultOp::Sync, "file", 1);
    disk.inject(FaultOp::Read, "other", 1);
    assert!(file.sync_data().is_err());
    assert!(file.sync_data().is_ok());
    assert!(file.read_at(0, &mut [0; 1]).is_ok());
    disk.inject(FaultOp::Read, "", 9);
    assert!(file.read_at(0, &mut [0; 1]).is_err());
    disk.heal();
    assert!(file.read_at(0, &mut [0; 1]).is_ok());
}
