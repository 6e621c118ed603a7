//! Floor 10: builds every part once, in order; reloads; drains.
//!
//! The [`Agent`] is the running whole. A control task owns what runs and does one thing at a
//! time: a reload, the restart of a component that failed, the shutdown.

pub mod check;
mod control;
mod data_dir;
pub mod limits;
mod own_traces;
pub mod serve;
pub mod trial;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Handles, Listeners, Node};
use crate::alerting::paging::Dispatch;
use crate::alerting::running::Evaluation;
use crate::alerting::{AlertStatus, GroupStatus, Running};
use crate::config::{Errors, Plan};
use crate::data::{MemoryBudget, Names, SeriesTable};
use crate::kubernetes::{Pods, pods};
use crate::pipeline::{BuildError, Common, Lasting, Runner, prepare};
use crate::telemetry::{AgentStatus, Phase, Rates, SeriesWatch, Telemetry, series};
use control::{Command, Control};
use data_dir::DataDir;
use limits::Limits;
use own_traces::OwnTraces;

/// Reads the configuration: at the start, and again at each reload.
pub type Loader = Box<dyn Fn() -> Result<Plan, Errors> + Send + Sync>;

/// Why the agent did not start, or did not take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The configuration is wrong; the errors name places.
    #[error("{0}")]
    Config(Errors),
    /// Something that it needs cannot be had now, such as a port; it says what and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// It changes what only a restart can change.
    #[error("{0}")]
    NeedsRestart(String),
    /// The agent is stopping.
    #[error("the agent is stopping and takes no new configuration")]
    Stopping,
}

/// The running agent.
pub struct Agent {
    shared: Arc<Shared>,
    control: JoinHandle<()>,
    hurry: CancellationToken,
    finished: watch::Receiver<bool>,
    _data_dir: DataDir,
}

/// What the agent shows, and the way to ask it for things.
pub struct Shared {
    /// Metrics and health of every component.
    pub telemetry: Arc<Telemetry>,
    /// How the agent as a whole is doing.
    pub status: Arc<AgentStatus>,
    /// The memory that sources wait for.
    pub memory: Arc<MemoryBudget>,
    /// Rates of the components.
    pub rates: Arc<Rates>,
    /// How full the series table is.
    pub series: Arc<SeriesWatch>,
    /// What outlives the graph.
    pub lasting: Arc<Lasting>,
    plan: Mutex<Arc<Plan>>,
    commands: mpsc::Sender<Command>,
}

impl Agent {
    /// Loads, prepares and starts everything.
    pub async fn start(loader: Loader) -> Result<Self, Rejected> {
        let plan = loader().map_err(Rejected::Config)?;
        limits::raise_open_files();
        let limits = Limits::detect();
        let telemetry = Arc::new(Telemetry::new());
        let memory = Arc::new(MemoryBudget::new(limits.memory));
        let status = AgentStatus::register(&telemetry, memory.clone()).expect("a fresh registry takes every metric");
        let common = Common {
            telemetry: telemetry.clone(),
            names: Arc::new(Names::default()),
            series: SeriesTable::new(series_limit(&plan)),
            memory: memory.clone(),
            data_dir: plan.data_dir.as_path().into(),
            identity: Arc::new(plan.identity.clone()),
            pods: Pods::register(&telemetry).expect("a fresh registry takes every metric"),
            lasting: Arc::default(),
            workers: limits.workers,
        };
        common.pods.configure(pods_settings(&plan));
        let prepared =
            prepare(plan.graph.clone(), &common).map_err(|errors| Rejected::Config(plan.refused(&errors)))?;
        let (admin, health) = listener_options(&plan);
        let mut own_traces = OwnTraces::register(&telemetry).expect("a fresh registry takes every metric");
        let traces = own_traces.prepare(&plan).map_err(Rejected::Unavailable)?;
        own_traces.put(traces);
        status.accepted(&hash_text(&plan));
        let (commands, inbox) = mpsc::channel(8);
        let rates = Arc::new(Rates::new(telemetry.clone()));
        let series = SeriesWatch::register(&telemetry, common.series.clone());
        let series = series.expect("a fresh registry takes every metric");
        let shared = Arc::new(Shared {
            telemetry,
            status,
            memory,
            rates,
            series,
            lasting: common.lasting.clone(),
            plan: Mutex::new(Arc::new(plan)),
            commands,
        });
        let listeners = Listeners::start(admin, health, shared.handles()).await;
        let listeners = listeners.map_err(|error| Rejected::Unavailable(error.to_string()))?;
        let data_dir = DataDir::take(&common.data_dir).map_err(|error| Rejected::Unavailable(error.to_string()))?;
        let (runner, ended) = Runner::start(prepared, common.clone());
        let hurry = runner.hurry();
        shared.status.enter(Phase::Running);
        let (finish, finished) = watch::channel(false);
        let control = Control {
            loader,
            runner,
            listeners,
            common,
            own_traces,
            shared: shared.clone(),
            finish,
            failures: Default::default(),
        };
        let control = tokio::spawn(control.run(inbox, ended));
        Ok(Self { shared, control, hurry, finished, _data_dir: data_dir })
    }

    /// What the agent shows, and the way to ask it for things.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until every source has ended by itself.
    pub async fn finished(&mut self) {
        if self.finished.wait_for(|finished| *finished).await.is_err() {
            // The control task is gone without it; only a shutdown ends that way.
            std::future::pending::<()>().await;
        }
    }

    /// Stops reading, drains for at most the configured time, ends everything. A reload that is under way is
    /// cut short.
    pub async fn shutdown(self) {
        self.hurry.cancel();
        // A control task that is gone has nothing left to stop.
        let _ = self.shared.commands.send(Command::Shutdown).await;
        if let Err(error) = self.control.await {
            tracing::error!(%error, "the control task failed");
        }
    }
}

impl Shared {
    /// The configuration in force.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the configuration again and puts it in force, or says why not; the old one then runs on.
    pub async fn reload(&self) -> Result<(), Rejected> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Reload(reply)).await.map_err(|_| Rejected::Stopping)?;
        answer.await.map_err(|_| Rejected::Stopping)?
    }

    fn set_plan(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }

    fn handles(self: &Arc<Self>) -> Handles {
        Handles {
            telemetry: self.telemetry.clone(),
            agent: self.status.clone(),
            memory: self.memory.clone(),
            rates: self.rates.clone(),
            series: self.series.clone(),
            control: Arc::new(Answers(self.clone())),
        }
    }
}

/// What the admin listener may ask.
struct Answers(Arc<Shared>);

impl admin::Control for Answers {
    fn graph(&self) -> Arc<[Node]> {
        Node::of(&self.0.plan().graph)
    }

    fn node(&self) -> String {
        self.0.plan().identity.node.clone().unwrap_or_default()
    }

    fn config(&self) -> String {
        format!("{:#}\n", self.0.plan().masked)
    }

    fn dispatch(&self) -> Option<Arc<Dispatch>> {
        self.0.lasting.get::<Running>()?.dispatch()
    }

    fn alerts_wait(&self) -> Option<String> {
        self.0.lasting.get::<Running>()?.alerts_wait()
    }

    fn alerting(&self) -> Option<admin::status::Alerting> {
        let plan = self.0.plan();
        let name = crate::registry::TABLES.alerting.name;
        plan.graph.components.iter().find(|component| *component.id.0 == *name)?;
        let running = self.0.lasting.get::<Running>();
        let why_not = match running.as_ref().map(|running| running.evaluation()).unwrap_or_default() {
            Evaluation::Runs => None,
            Evaluation::Begins => Some("it begins, and reads what is on disk of before".to_owned()),
            Evaluation::Failed(why) => Some(format!("it failed, and is tried again: {why}")),
        };
        let (wait, dispatch) = running.map_or((None, None), |running| (running.alerts_wait(), running.dispatch()));
        let wait = wait.filter(|_| why_not.is_none());
        let mut held_back: Vec<_> =
            wait.map(|why| format!("alerts wait, and nobody is told yet: {why}")).into_iter().collect();
        held_back.extend(dispatch.into_iter().flat_map(|dispatch| dispatch.held_back()));
        Some(admin::status::Alerting { evaluates: why_not.is_none(), why_not, held_back })
    }

    fn samples(&self) -> Option<admin::query::SharedSamples> {
        Some(self.0.lasting.get::<Running>()?.store().clone())
    }

    fn rules(&self) -> Vec<GroupStatus> {
        self.0.lasting.get::<Running>().map(|running| running.groups()).unwrap_or_default()
    }

    fn alerts(&self) -> Vec<AlertStatus> {
        self.0.lasting.get::<Running>().map(|running| running.alerts()).unwrap_or_default()
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), String>> {
        let shared = self.0.clone();
        Box::pin(async move { shared.reload().await.map_err(|error| error.to_string()) })
    }
}

fn listener_options(plan: &Plan) -> (admin::Options, admin::health::Options) {
    let admin = plan.sections.get::<admin::Options>(admin::SECTION.name).cloned();
    let health = plan.sections.get::<admin::health::Options>(admin::health::SECTION.name).copied();
    (admin.unwrap_or_default(), health.unwrap_or_default())
}

/// Most series that a configuration allows.
fn series_limit(plan: &Plan) -> usize {
    let options = plan.sections.get::<series::Options>(series::SECTION.name).copied();
    options.unwrap_or_default().limit.get()
}

/// How the agent learns of the pods of its node.
fn pods_settings(plan: &Plan) -> pods::Settings {
    let options = plan.sections.get::<pods::Options>(pods::SECTION.name).cloned();
    pods::Settings::new(&options.unwrap_or_default(), &plan.identity)
}

/// The configuration's hash as people see it.
fn hash_text(plan: &Plan) -> String {
    format!("{:016x}", plan.hash)
}

fn lines(errors: &[BuildError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
