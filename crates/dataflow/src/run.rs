//! Starts the graph on worker threads and hands out its ends.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex};

use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config as Allocation, Hooks};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::operators::generic::{Operator, OutputBuilderSession};
use timely::scheduling::SyncActivator;
use timely::worker::Worker;

use crate::checkpoint::Restored;
use crate::config::Config;
use crate::frame::Framer;
use crate::ingest::Ingest;
use crate::input::TickInput;
use crate::message::{Ingested, Item, Routed};
use crate::output::Output;
use crate::steer::Steer;

/// How many ticks wait before a worker takes them.
const INPUT_TICKS_MAX: usize = 64;
/// How many outputs wait before a worker does.
const OUTPUTS_MAX: usize = 4_096;
/// How many ticks `ingest` takes in one go.
const TICKS_AT_ONCE_MAX: usize = 32;

/// A dataflow that runs. Dropping all inputs lets it finish what it has been given.
pub struct Running {
    /// One a worker of this process; each must be given every tick in order. To drop one says that no more ticks come: in
    /// a dataflow of several processes only after all have been given the same.
    pub inputs: Vec<Input>,
    /// What the workers of this process send; closes when they have finished.
    pub outputs: Receiver<Output>,
    workers: timely::communication::WorkerGuards<()>,
}

impl Running {
    /// Takes the ends apart, so that the inputs and the outputs can be served by different threads.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Input>, Receiver<Output>, timely::communication::WorkerGuards<()>) {
        (self.inputs, self.outputs, self.workers)
    }
}

/// The way into one worker.
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
    /// Gives the worker its part of the next tick; waits while too many wait.
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
        // A worker that is gone need not be woken.
        let _ = self.activator.activate();
    }
}

/// Starts the workers of this process, from a checkpoint if there is one. `peers` are connections to the other processes,
/// by their number, with nothing in the place of this one. Should one break, the thread that serves it panics with
/// "timely communication error", and the dataflow never goes on.
///
/// # Errors
/// When the threads cannot be started.
pub fn start<S: Stream + 'static>(
    config: Config,
    restored: Option<Restored>,
    peers: Vec<Option<S>>,
) -> Result<Running, String> {
    let (output, outputs) = sync_channel(OUTPUTS_MAX);
    let (activators_out, activators) = sync_channel(config.workers);
    let mut senders = Vec::new();
    let mut receivers = Vec::new();
    for _ in 0..config.workers {
        let (sender, receiver) = sync_channel(INPUT_TICKS_MAX);
        senders.push(sender);
        receivers.push(Some(receiver));
    }
    let receivers = Mutex::new(receivers);
    let restored = restored.map(Arc::new);
    let (builders, others) = allocate(config, peers)?;
    let worker_config = timely::WorkerConfig::default();
    let workers = timely::execute::execute_from(builders, others, worker_config, move |worker| {
        let local = worker.index() - config.first_worker();
        let taken = receivers.lock().ok().and_then(|mut all| all.get_mut(local)?.take());
        let Some(receiver) = taken else { return };
        let activator = graph(worker, config, restored.as_deref(), receiver, output.clone());
        // The starter is gone only when the process ends.
        let _ = activators_out.send((worker.index(), activator));
    })?;
    let mut by_worker: BTreeMap<usize, SyncActivator> = BTreeMap::new();
    for _ in 0..config.workers {
        let (index, activator) = activators.recv().map_err(|_| String::from("a worker did not start"))?;
        by_worker.insert(index, activator);
    }
    let inputs = by_worker.into_values().zip(senders);
    let inputs = inputs.map(|(activator, sender)| Input { sender: Some(sender), activator }).collect();
    Ok(Running { inputs, outputs, workers })
}

/// What the workers exchange messages by.
type Allocated = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

fn allocate<S: Stream + 'static>(config: Config, peers: Vec<Option<S>>) -> Result<Allocated, String> {
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

/// Builds one worker's part of the graph drawn atop this crate.
fn graph(
    worker: &mut Worker,
    config: Config,
    restored: Option<&Restored>,
    receiver: Receiver<TickInput>,
    output: SyncSender<Output>,
) -> SyncActivator {
    let index = worker.index();
    let mut ingest = Ingest::new(config, index, restored);
    let mut steer = Steer::new(config, index, restored);
    let mut framer = Framer::new(config, index, restored);
    let address = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let source_address = std::rc::Rc::clone(&address);
    worker.dataflow::<u64, _, _>(|scope| {
        let ingested = source(scope, "ingest", |capability, info| {
            *source_address.borrow_mut() = info.address.to_vec();
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            move |output: &mut OutputBuilderSession<'_, u64, Container<Ingested>>| {
                if feed(&mut capability, &receiver, &mut ingest, output) {
                    activator.activate();
                }
            }
        });
        let items = ingested.unary_frontier::<Container<Item>, _, _, _>(
            Exchange::new(|routed: &Routed<Ingested>| routed.to),
            "steer",
            |_, _| {
                let mut stash: Stash<Ingested> = BTreeMap::new();
                move |(input, frontier), output| {
                    input.for_each_stamp(|capability, data| {
                        stash_messages(&mut stash, capability.retain_least(0), data);
                    });
                    while let Some((capability, messages)) =
                        complete(&mut stash, |t| frontier.frontier().less_equal(t))
                    {
                        output.session(&capability).give_iterator(steer.tick(messages).into_iter());
                    }
                }
            },
        );
        items.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
            Exchange::new(|routed: &Routed<Item>| routed.to),
            "frame",
            |_, _| {
                let mut stash: Stash<Item> = BTreeMap::new();
                move |(input, frontier), _output| {
                    input.for_each_stamp(|capability, data| {
                        stash_messages(&mut stash, capability.retain_least(0), data);
                    });
                    while let Some((capability, items)) =
                        complete(&mut stash, |t| frontier.frontier().less_equal(t))
                    {
                        for of_tick in framer.tick(*capability.time(), items) {
                            // Nobody takes outputs any more only when the process ends.
                            let _ = output.send(of_tick);
                        }
                    }
                }
            },
        );
    });
    worker.sync_activator_for(address.take())
}

type Container<M> = CapacityContainerBuilder<Vec<Routed<M>>>;

/// Takes the ticks that wait, a bounded number of them; true when more may wait.
fn feed(
    capability: &mut Option<Capability<u64>>,
    receiver: &Receiver<TickInput>,
    ingest: &mut Ingest,
    output: &mut OutputBuilderSession<'_, u64, Container<Ingested>>,
) -> bool {
    for _ in 0..TICKS_AT_ONCE_MAX {
        let Some(held) = capability.as_mut() else { return false };
        match receiver.try_recv() {
            Ok(input) => {
                let number = input.tick.number;
                held.downgrade(&number);
                output.session(held).give_iterator(ingest.tick(input).into_iter());
                held.downgrade(&(number + 1));
            }
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => {
                *capability = None;
                return false;
            }
        }
    }
    true
}

/// Messages by tick, with the right to send at it.
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

/// The first tick that the frontier has passed.
fn complete<M>(stash: &mut Stash<M>, is_open: impl Fn(&u64) -> bool) -> Option<(Capability<u64>, Vec<M>)> {
    let first = stash.first_entry()?;
    (!is_open(first.key())).then(|| first.remove())
}
