//! How long a thread has a heap open: until JavaScript's side of it has been collected or, if that
//! comes first, until the thread's environment ends. Engines collect what is left by then in any
//! order, the memory before the functions that work on it too.
//!
//! An engine tells of what it has collected when the event loop turns. In a program that never
//! returns to the loop, handles that nobody can reach are looked for whenever many have been
//! opened.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::null_mut;
use std::rc::Rc;

use napi::bindgen_prelude::check_status;
use napi::{Env, sys};

use super::loan::Loan;
use crate::fault::{Fault, Result};
use crate::node::bytes::OpenHeap;

/// Bytes that an open heap holds outside the engine's sight, about: its tables, and what the thread
/// keeps.
const HELD: i64 = 1 << 17;

/// So many handles are opened before those that nobody can reach are looked for.
const FEW: usize = 64;

thread_local! {
    /// The handles of this thread. They are left alone when it ends: it may be too late to close a
    /// heap then, and the environment has closed all if it has ended before.
    static HANDLES: ManuallyDrop<RefCell<Handles>> =
        const { ManuallyDrop::new(RefCell::new(Handles::new())) };
}

/// Handles by their number; number 0 is nobody's.
struct Handles {
    slots: Vec<Option<Rc<Handle>>>,
    vacant: Vec<u32>,
    /// How many may be open before the next sweep.
    most: usize,
}

impl Handles {
    const fn new() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new(), most: FEW }
    }

    fn open(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    fn enter(&mut self, handle: Rc<Handle>) -> u32 {
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[number as usize] = Some(handle);
        number
    }

    // Returns the handle, which must not be dropped while the others are borrowed.
    fn leave(&mut self, number: u32) -> Option<Rc<Handle>> {
        let handle = self.slots.get_mut(number as usize)?.take()?;
        self.vacant.push(number);
        if self.slots.len() == self.vacant.len() + 1 {
            // Nothing is dropped when the thread ends.
            *self = Self::new();
        }
        Some(handle)
    }
}

/// A heap that JavaScript reaches by a number.
pub struct Handle {
    env: sys::napi_env,
    /// The hook that lets go of all is registered while there is one: it is 0 before and after.
    number: Cell<u32>,
    /// Until it is closed.
    heap: RefCell<Option<OpenHeap>>,
    /// Refers to the object that whoever uses the number keeps, without keeping it.
    token: Cell<sys::napi_ref>,
    loans: RefCell<Vec<Loan>>,
}

impl Handle {
    /// A handle on a heap that was opened in `env`, for as long as `token` can be reached, and what
    /// is lent.
    ///
    /// # Errors
    /// When the engine takes no hook, or the thread is being terminated; the heap is closed then.
    ///
    /// # Safety
    /// `env` is that of the running call, and `token` an object of it.
    pub unsafe fn new(env: &Env, heap: OpenHeap, token: sys::napi_value) -> napi::Result<Rc<Self>> {
        sweep_if_many(env);
        let handle = Rc::new(Self {
            env: env.raw(),
            number: Cell::new(0),
            heap: RefCell::new(None),
            token: Cell::new(null_mut()),
            loans: RefCell::default(),
        });
        handle.refer_to(token)?;
        // SAFETY: `env` is that of the running call, and `end` may have the handle for as long as
        // it is registered: `give_up` removes it.
        check_status!(unsafe {
            sys::napi_add_env_cleanup_hook(handle.env, Some(end), handle.as_data())
        })?;
        handle.heap.replace(Some(heap));
        account(env.raw(), HELD);
        handle.number.set(HANDLES.with(|handles| handles.borrow_mut().enter(Rc::clone(&handle))));
        Ok(handle)
    }

    /// What JavaScript calls the handle.
    pub fn number(&self) -> u32 {
        self.number.get()
    }

    /// Works on the heap.
    ///
    /// # Errors
    /// Those of `act`; [`Fault::Internal`] once the heap is closed.
    pub fn run<T>(&self, act: impl FnOnce(&OpenHeap) -> Result<T>) -> Result<T> {
        self.heap.borrow().as_ref().ok_or(Fault::Internal).and_then(act)
    }

    /// Notes what is lent to JavaScript together with the heap.
    pub fn lend(&self, loan: Loan) {
        let mut loans = self.loans.borrow_mut();
        for over in loans.extract_if(.., |loan| loan.is_over()) {
            over.take_back();
        }
        loans.push(loan);
    }

    // Closes the heap when `token` has been collected, at the next turn of the event loop.
    fn refer_to(self: &Rc<Self>, token: sys::napi_value) -> napi::Result<()> {
        let mut reference = null_mut();
        let data = Rc::into_raw(Rc::clone(self)).cast_mut().cast::<c_void>();
        // SAFETY: the caller of `new` vouches for `env` and `token`. `data` owns one count, which
        // `collected` gives back; without the finalizer it is given back here. The out pointer is a
        // local.
        unsafe {
            let (finalize, hint) = (Some(collected as _), null_mut());
            let status = sys::napi_add_finalizer(self.env, token, data, finalize, hint, null_mut());
            check_status!(status).inspect_err(|_| drop(Rc::from_raw(data.cast::<Self>())))?;
            check_status!(sys::napi_create_reference(self.env, token, 0, &mut reference))?;
        }
        self.token.set(reference);
        Ok(())
    }

    fn is_unreachable(&self) -> bool {
        let (mut value, token) = (null_mut(), self.token.get());
        // SAFETY: `self` has the reference until it is closed, `env` is that of the running call,
        // and the out pointer is a local.
        let status = unsafe { sys::napi_get_reference_value(self.env, token, &mut value) };
        status == sys::Status::napi_ok
            && value.is_null()
            && self.heap.try_borrow_mut().is_ok()
            && self.loans.borrow().iter().all(Loan::is_over)
    }

    /// Closes the heap, which is not in use. What is lent stays until JavaScript has no part of it
    /// any more, which is found out as for a heap that nobody has closed.
    pub fn close(&self) {
        drop(self.heap.take());
    }

    // Lets go of all, whether that was done or not. The environment has not ended, and the heap is
    // not in use.
    fn give_up(&self) {
        if self.number() != 0 {
            // SAFETY: `new` registered the hook, which has not run: it takes the number away.
            unsafe { sys::napi_remove_env_cleanup_hook(self.env, Some(end), self.as_data()) };
        }
        self.let_go();
        let token = self.token.replace(null_mut());
        if !token.is_null() {
            // SAFETY: `refer_to` made the reference, and it is given up here only.
            unsafe { sys::napi_delete_reference(self.env, token) };
        }
    }

    // Keeps `token` until all of the environment is gone. Node.js uses an environment once more
    // after it has freed it, if objects with finalizers are collected while it ends.
    fn keep_token(&self) {
        // SAFETY: `self` has the reference, as it has not been given up. The new count is not
        // asked for.
        unsafe { sys::napi_reference_ref(self.env, self.token.get(), null_mut()) };
    }

    // Closes the heap, and gives up what is lent and the number.
    fn let_go(&self) {
        self.close();
        drop(self.loans.take());
        let left = HANDLES.with(|handles| handles.borrow_mut().leave(self.number.replace(0)));
        if left.is_some() {
            account(self.env, -HELD);
        }
    }

    fn as_data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

/// The handle of that number in `env`.
pub fn find(env: sys::napi_env, number: u32) -> Option<Rc<Handle>> {
    HANDLES.with(|handles| {
        let handles = handles.borrow();
        let handle = handles.slots.get(number as usize)?.as_ref();
        handle.filter(|handle| handle.env == env).cloned()
    })
}

/// Closes the heaps in `env` that nobody can reach. Returns how many there were.
pub fn sweep(env: &Env) -> usize {
    let all: Vec<_> = HANDLES.with(|handles| {
        let handles = handles.borrow();
        handles.slots.iter().flatten().filter(|handle| handle.env == env.raw()).cloned().collect()
    });
    let unreachable = all.iter().filter(|handle| handle.is_unreachable());
    let closed = unreachable.map(|handle| {
        handle.loans.take().into_iter().for_each(Loan::take_back);
        handle.give_up();
    });
    closed.count()
}

// Looks when there are twice as many as the last look left, so that one of many costs little.
fn sweep_if_many(env: &Env) {
    let many = HANDLES.with(|handles| {
        let handles = handles.borrow();
        handles.open() > handles.most
    });
    if many {
        sweep(env);
        HANDLES.with(|handles| {
            let mut handles = handles.borrow_mut();
            handles.most = FEW.max(2 * handles.open());
        });
    }
}

// Lets the engine know of bytes that go when it collects an object, so that it does so in time.
fn account(env: sys::napi_env, bytes: i64) {
    let mut total = 0;
    // SAFETY: `env` is that of a running call, finalizer or hook, and the out pointer is a local.
    unsafe { sys::napi_adjust_external_memory(env, bytes, &mut total) };
}

unsafe extern "C" fn collected(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` is the count that `refer_to` put there, and Node-API finalizes an object once,
    // before its environment has ended.
    unsafe { Rc::from_raw(data.cast_const().cast::<Handle>()) }.give_up();
}

// Closes the heap while the environment, and with it the memory, is still there. No function runs
// on the heap any more; if one did, `take` would panic, which ends the process here.
unsafe extern "C" fn end(handle: *mut c_void) {
    // SAFETY: it is what `new` registered, and `give_up` removes this hook. The hook runs
    // once, and `collected` has a count of the handle until then at least.
    let handle = unsafe { &*handle.cast_const().cast::<Handle>() };
    handle.keep_token();
    handle.let_go();
}
