//! Starts the graph on worker threads, and returns its inputs and outputs.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use timely::ExchangeData;
use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::zero_copy::stream::Stream as Connection;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config as Allocation, Hooks, WorkerGuards};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::core::{Concat, OkErr};
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::operators::generic::{Operator, OutputBuilderSession};
use timely::scheduling::SyncActivator;
use timely::worker::Worker;

use crate::checkpoint::Restored;
use crate::config::Config;
use crate::error::DataflowError;
use crate::failure::Failure;
use crate::frame::Framer;
use crate::ingest::{Ingest, Sent};
use crate::input::TickInput;
use crate::message::{Ingested, Routed};
use crate::output::Output;
use crate::repeats::{Repeats, ToRepeats};
use crate::steer::Steer;

/// The maximum number of ticks that wait for a worker.
const INPUT_TICKS_MAX: usize = 64;
/// The maximum number of outputs that wait to be received; a worker that sends another one blocks.
const OUTPUTS_MAX: usize = 4_096;
/// The maximum number of ticks that `ingest` takes at once.
const TICKS_AT_ONCE_MAX: usize = 32;

/// A dataflow that runs. When all inputs are dropped, it processes the ticks that it has been given and ends. When a worker
/// fails, all workers of this process end at once.
pub struct Running {
    /// One for each worker of this process; each must be given every tick in order. After an input is dropped its worker
    /// expects no more ticks. In a dataflow of several processes, inputs may be dropped only after all processes have been
    /// given the same ticks.
    pub inputs: Vec<Input>,
    /// What the workers of this process send; closes when they have ended.
    pub outputs: Receiver<Output>,
    workers: Workers,
}

/// The worker threads of this process.
pub struct Workers {
    guards: WorkerGuards<()>,
    failure: Arc<Failure>,
}

impl Workers {
    /// Waits until all workers have ended.
    ///
    /// # Errors
    /// The first failure of a worker.
    pub fn join(self) -> Result<(), DataflowError> {
        // The error of a worker that panicked is in `failure`.
        drop(self.guards.join());
        self.failure.first().map_or(Ok(()), Err)
    }

    /// Lets the workers run until the process ends, because they may wait for other processes for ever.
    ///
    /// # Errors
    /// The first failure of a worker so far.
    pub fn leave_running(self) -> Result<(), DataflowError> {
        std::mem::forget(self.guards);
        self.failure.first().map_or(Ok(()), Err)
    }
}

impl Running {
    /// Returns the parts, so that different threads can use the inputs and the outputs.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Input>, Receiver<Output>, Workers) {
        (self.inputs, self.outputs, self.workers)
    }
}

/// The input of one worker.
pub struct Input {
    // Before the activator: the worker is woken after the channel has closed.
    sender: Option<SyncSender<TickInput>>,
    activator: SyncActivator,
}

/// The dataflow has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the dataflow has stopped")]
pub struct Stopped;

impl Input {
    /// Gives the worker its part of the next tick; blocks while the maximum number of ticks waits.
    ///
    /// # Errors
    /// When the dataflow has stopped.
    pub fn send(&self, input: TickInput) -> Result<(), Stopped> {
        self.sender.as_ref().ok_or(Stopped)?.send(input).map_err(|_| Stopped)?;
        self.activator.activate().map_err(|_| Stopped)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.sender = None;
        // A worker that has ended does not need to be woken.
        let _ = self.activator.activate();
    }
}

/// Starts the workers of this process, from a checkpoint if there is one. `peers` are connections to the other processes,
/// by their number, with `None` at the index of this one. If one breaks, the thread that serves it panics with
/// "timely communication error", and the dataflow never goes on.
///
/// # Errors
/// If the threads cannot be started, or the checkpoint cannot be restored.
pub fn start<S: Connection + 'static>(
    config: Config,
    restored: Option<Restored>,
    peers: Vec<Option<S>>,
) -> Result<Running, DataflowError> {
    let (output, outputs) = sync_channel(OUTPUTS_MAX);
    let (started, starts) = sync_channel(config.workers);
    let restored = restored.map(Arc::new);
    let mut senders = Vec::new();
    let mut starting = Vec::new();
    for _ in 0..config.workers {
        let (sender, ticks) = sync_channel(INPUT_TICKS_MAX);
        senders.push(sender);
        let (output, started, restored) = (output.clone(), started.clone(), restored.clone());
        starting.push(Some(Starting { ticks, output, started, restored }));
    }
    drop((output, started, restored));
    let starting = Mutex::new(starting);
    let failure = Arc::new(Failure::default());
    let (builders, others) = allocate(config, peers).map_err(DataflowError::Start)?;
    let of_workers = Arc::clone(&failure);
    let guards = timely::execute::execute_from(builders, others, WorkerConfig::default(), move |worker| {
        let local = worker.index() - config.first_worker();
        // Each worker takes its own part, so that the part is dropped when the worker ends.
        let taken =
            starting.lock().unwrap_or_else(PoisonError::into_inner).get_mut(local).and_then(Option::take);
        let Some(starting) = taken else { return };
        let index = worker.index();
        let work = catch_unwind(AssertUnwindSafe(|| work(worker, config, starting, &of_workers)));
        if let Err(panic) = work {
            let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            of_workers.fail(DataflowError::Panicked { worker: index, message });
            // Timely continues the dataflows of a worker that returns.
            resume_unwind(panic);
        }
    })
    .map_err(DataflowError::Start)?;
    let workers = Workers { guards, failure };
    let by_worker: BTreeMap<usize, SyncActivator> = starts.iter().take(config.workers).collect();
    if by_worker.len() < config.workers {
        let ended = || Err(DataflowError::Start(String::from("a worker ended at once")));
        drop(senders);
        return if config.processes > 1 { workers.leave_running() } else { workers.join() }
            .and_then(|()| ended());
    }
    let inputs = by_worker.into_values().zip(senders);
    let inputs = inputs.map(|(activator, sender)| Input { sender: Some(sender), activator }).collect();
    Ok(Running { inputs, outputs, workers })
}

/// What a worker starts with.
struct Starting {
    ticks: Receiver<TickInput>,
    output: SyncSender<Output>,
    /// Receives the worker's index and its activator, once its part of the graph is built.
    started: SyncSender<(usize, SyncActivator)>,
    restored: Option<Arc<Restored>>,
}

/// Builds one worker's part of the graph and runs it, until its inputs have ended or a worker has failed.
fn work(worker: &mut Worker, config: Config, starting: Starting, failure: &Arc<Failure>) {
    let Starting { ticks, output, started, restored } = starting;
    match graph(worker, config, restored.as_deref(), ticks, output, failure) {
        Ok(activator) => {
            failure.register(activator.clone());
            // The receiver is gone if another worker could not start.
            let _ = started.send((worker.index(), activator));
        }
        Err(error) => failure.fail(error),
    }
    drop((started, restored));
    while worker.has_dataflows() {
        if failure.has_failed() {
            worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            return;
        }
        worker.step_or_park(None);
    }
}

/// The allocators for the messages between workers, and a value that keeps their threads running.
type Allocated = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

fn allocate<S: Connection + 'static>(config: Config, peers: Vec<Option<S>>) -> Result<Allocated, String> {
    if config.processes == 1 {
        return Allocation::Process(config.workers).try_build();
    }
    if peers.len() != config.processes {
        return Err(format!("{} processes, but connections to {}", config.processes, peers.len()));
    }
    let hooks = Hooks::default();
    let builders =
        ProcessBuilder::new_typed_vector(config.workers, hooks.refill.clone(), hooks.spill.clone());
    let networked =
        initialize_networking_from_sockets(builders, peers, config.process, config.workers, hooks);
    let (builders, threads) = networked.map_err(|error| error.to_string())?;
    Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(threads)))
}

/// Builds one worker's part of the graph that is drawn at the top of this crate. An operator that fails records its error in
/// `failure` and sends nothing more.
fn graph(
    worker: &mut Worker,
    config: Config,
    restored: Option<&Restored>,
    ticks: Receiver<TickInput>,
    output: SyncSender<Output>,
    failure: &Arc<Failure>,
) -> Result<SyncActivator, DataflowError> {
    let index = worker.index();
    let ingest = Ingest::new(config, index, restored)?;
    let mut repeats = Repeats::new(config, index, restored)?;
    let mut steer = Steer::new(config, index, restored)?;
    let mut framer = Framer::new(config, index, restored)?;
    let address = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let source_address = std::rc::Rc::clone(&address);
    worker.dataflow::<u64, _, _>(|scope| {
        let mut feeder = Feeder { capability: None, ticks, ingest, failure: Arc::clone(failure) };
        let ingested = source(scope, "ingest", |capability, info| {
            *source_address.borrow_mut() = info.address.to_vec();
            let activator = scope.activator_for(info.address);
            feeder.capability = Some(capability);
            move |output: &mut OutputBuilderSession<'_, u64, CapacityContainerBuilder<Vec<FromIngest>>>| {
                if feeder.feed(output) {
                    activator.activate();
                }
            }
        });
        let (ingested, batches) =
            ingested.ok_err::<Messages<Ingested>, _, Messages<ToRepeats>, _, _>(|sent| sent);
        let not_counted = each_tick(batches, "repeats", failure, move |_, messages| repeats.tick(messages));
        let ingested = ingested.concat(not_counted);
        let items = each_tick(ingested, "steer", failure, move |_, messages| steer.tick(messages));
        each_tick(items, "frame", failure, move |tick, items| {
            // The receiver is gone only if the process ends.
            framer.tick(tick, items)?.into_iter().for_each(|sent| drop(output.send(sent)));
            Ok(Vec::<Routed<()>>::new())
        });
    });
    Ok(worker.sync_activator_for(address.take()))
}

type Messages<M> = Vec<Routed<M>>;

/// What `ingest` sends: to `steer`, or to `repeats`.
type FromIngest = Result<Routed<Ingested>, Routed<ToRepeats>>;

/// An operator that is given all messages of a tick, when no more can come, and sends what `act` returns.
fn each_tick<'scope, M: ExchangeData, O: 'static>(
    messages: Stream<'scope, u64, Messages<M>>,
    name: &str,
    failure: &Arc<Failure>,
    mut act: impl FnMut(u64, Vec<M>) -> Result<Messages<O>, DataflowError> + 'static,
) -> Stream<'scope, u64, Messages<O>> {
    let failure = Arc::clone(failure);
    messages.unary_frontier::<CapacityContainerBuilder<Messages<O>>, _, _, _>(
        Exchange::new(|routed: &Routed<M>| routed.to),
        name,
        |_, _| {
            let mut stash: Stash<M> = BTreeMap::new();
            move |(input, frontier), output| {
                input.for_each_stamp(|capability, data| {
                    stash_messages(&mut stash, capability.retain_least(0), data);
                });
                while let Some((capability, messages)) =
                    complete(&mut stash, &failure, |tick| frontier.frontier().less_equal(tick))
                {
                    match act(*capability.time(), messages) {
                        Ok(sent) => output.session(&capability).give_iterator(sent.into_iter()),
                        Err(error) => failure.fail(error),
                    }
                }
            }
        },
    )
}

/// Passes the ticks of its worker to `ingest`.
struct Feeder {
    /// The capability to send at the next tick, until the ticks have ended.
    capability: Option<Capability<u64>>,
    ticks: Receiver<TickInput>,
    ingest: Ingest,
    failure: Arc<Failure>,
}

impl Feeder {
    /// Takes waiting ticks, at most [`TICKS_AT_ONCE_MAX`]; true if more may wait.
    fn feed(
        &mut self,
        output: &mut OutputBuilderSession<'_, u64, CapacityContainerBuilder<Vec<FromIngest>>>,
    ) -> bool {
        for _ in 0..TICKS_AT_ONCE_MAX {
            let Some(held) = self.capability.as_mut().filter(|_| !self.failure.has_failed()) else {
                return false;
            };
            match self.ticks.try_recv() {
                Ok(input) => {
                    let number = input.tick.number;
                    held.downgrade(&number);
                    match self.ingest.tick(input) {
                        Ok(Sent { to_steer, to_repeats }) => {
                            let to_steer = to_steer.into_iter().map(Ok);
                            let sent = to_steer.chain(to_repeats.into_iter().map(Err));
                            output.session(held).give_iterator(sent);
                        }
                        Err(error) => self.failure.fail(error),
                    }
                    held.downgrade(&(number + 1));
                }
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {
                    self.capability = None;
                    return false;
                }
            }
        }
        true
    }
}

/// Messages by tick, with the capability to send at that tick.
type Stash<M> = BTreeMap<u64, (Capability<u64>, Vec<M>)>;

fn stash_messages<M>(
    stash: &mut Stash<M>,
    capability: Option<Capability<u64>>,
    data: std::slice::IterMut<'_, Vec<Routed<M>>>,
) {
    let Some(capability) = capability else { return };
    let (_, messages) = stash.entry(*capability.time()).or_insert_with(|| (capability, Vec::new()));
    messages.extend(data.flat_map(|some| some.drain(..)).map(|routed| routed.message));
}

/// The first tick that the frontier has passed; `None` after a failure.
fn complete<M>(
    stash: &mut Stash<M>,
    failure: &Failure,
    is_open: impl Fn(&u64) -> bool,
) -> Option<(Capability<u64>, Vec<M>)> {
    let first = stash.first_entry().filter(|_| !failure.has_failed())?;
    (!is_open(first.key())).then(|| first.remove())
}
