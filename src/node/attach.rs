//! Files with the heap of several processes, for JavaScript: attached first, then mapped over a
//! memory that is made for it.

use std::cell::Cell;
use std::path::Path;

use napi::bindgen_prelude::{Either, Either3, External, Object};
use napi::{Env, Result};
use napi_derive::napi;

use super::bytes::{EngineMemory, OpenHeap};
use super::{Argument, handle_of};
use crate::attached::{Attachment, Wish, attach};
use crate::fault::Fault;
use crate::heap::PAGE;
use crate::os::guards;

/// A file that was attached, until a memory has it.
type Waiting = Cell<Option<Attachment>>;

/// An attempt to attach a file.
#[napi(object, object_from_js = false)]
pub struct Attempt {
    /// The code of the error, when it failed.
    pub code: Option<String>,
    /// What there is to say about that.
    pub reason: Option<String>,
    /// What [`open_attached`] takes.
    #[napi(ts_type = "object")]
    pub file: Option<External<Waiting>>,
    /// The pages that the memory has.
    pub pages: u32,
    /// The pages that it may grow to.
    pub maximum: u32,
}

/// Attaches the file at `path`. `initial` and `maximum` are the pages of a new memory; a maximum of
/// 0 is the one that there is, or as many as `initial`.
#[napi]
pub fn attach_file(path: String, initial: u32, maximum: u32, create: bool) -> Attempt {
    match attach(Path::new(&path), Wish { initial, maximum, create }) {
        Ok(file) => Attempt {
            code: None,
            reason: None,
            pages: file.pages(),
            maximum: file.maximum(),
            file: Some(External::new(Cell::new(Some(file)))),
        },
        Err(refusal) => Attempt {
            code: Some(refusal.code().into()),
            reason: Some(refusal.reason().into()),
            file: None,
            pages: 0,
            maximum: 0,
        },
    }
}

/// Gives up a file that no memory has.
#[napi(ts_args_type = "file: object")]
pub fn detach_file(file: &External<Waiting>) {
    drop(file.take());
}

/// Puts the bytes of an attached file in the place of V8's, for the memory that `view` covers: a
/// shared one that was just made with the pages and the maximum of the file and that nobody has
/// used. Opens the heap in it as [`super::open_heap`] does, or returns the fault for which it
/// cannot be opened, or, as a text, why the bytes cannot be had there.
///
/// # Errors
/// Status InvalidArg when `view` is not a Uint8Array over a whole memory.
#[napi(
    ts_args_type = "view: Uint8Array, grower: { memory: WebAssembly.Memory, grow: Function, getBuffer: Function }, file: object",
    ts_return_type = "object | number | string"
)]
pub fn open_attached<'e>(
    env: &'e Env,
    view: Argument,
    grower: Argument,
    file: &External<Waiting>,
) -> Result<Either3<Object<'e>, i32, String>> {
    let memory = EngineMemory::open(view.0, grower.0)?;
    let Some(attachment) = file.take() else { return Ok(Either3::B(Fault::Internal as i32)) };
    let byte_length = memory.memory().byte_length();
    let maximum = attachment.maximum() as usize * PAGE as usize;
    if !memory.memory().is_shared() || maximum < byte_length {
        return Ok(Either3::B(Fault::Internal as i32));
    }
    if maximum > byte_length && !guards::are_proven() {
        let reason = "how much the engine has reserved for the memory is not known";
        return Ok(Either3::C(reason.into()));
    }
    // SAFETY: only lib/opening/attach.js calls this, right after it made the memory and before anyone else
    // has it, with the maximum of the file. So many bytes are reserved: they are all accessible, or
    // the engine reserves 4 GiB for every memory, which was proven.
    if let Err((step, error)) = unsafe { memory.memory().overlay_file(&attachment) } {
        return Ok(Either3::C(format!("{step:?}: {error}")));
    }
    match handle_of(env, OpenHeap::attach(memory, attachment))? {
        Either::A(heap) => Ok(Either3::A(heap)),
        Either::B(fault) => Ok(Either3::B(fault)),
    }
}
