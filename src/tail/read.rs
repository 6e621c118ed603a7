//! Reading without holding up a thread: what is in the page cache is read at once, what the disk must bring
//! is read where blocking is allowed.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::data::Slab;

/// Reads at `offset` into the free space of `slab`, at most `most` bytes; returns the slab and the number
/// of bytes, which are not yet counted as filled. 0 means the end of the file.
pub async fn read_into(file: &Arc<File>, offset: u64, most: usize, mut slab: Slab) -> (Slab, io::Result<usize>) {
    match read_cached(file, offset, cut(slab.space(), most)) {
        Err(Errno::AGAIN) => {
            let file = file.clone();
            let read = tokio::task::spawn_blocking(move || {
                let read = file.read_at(cut(slab.space(), most), offset);
                (slab, read)
            });
            read.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        }
        Err(error) => (slab, Err(error.into())),
        Ok(n) => (slab, Ok(n)),
    }
}

/// Reads at `offset` until `space` is full or the file ends; the number of bytes. May wait for the disk.
pub fn fill(file: &File, offset: u64, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < space.len() {
        match file.read_at(&mut space[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// At most `most` bytes from `offset` on; fewer where the file ends. May wait for the disk.
pub fn read_up_to(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let filled = fill(file, offset, &mut bytes)?;
    bytes.truncate(filled);
    Ok(bytes)
}

fn cut(space: &mut [u8], most: usize) -> &mut [u8] {
    let len = space.len().min(most);
    &mut space[..len]
}

/// `EAGAIN` where the bytes are not in memory. File systems that cannot tell are read as they are.
fn read_cached(file: &File, offset: u64, space: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match preadv2(file, &mut [IoSliceMut::new(space)], offset, ReadWriteFlags::NOWAIT) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                let read = file.read_at(space, offset);
                return read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
            }
            other => return other,
        }
    }
}
