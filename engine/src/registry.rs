//! The plugins that a pipeline can name. Who fills it, and who finds the others, decides what there is; the engine doesn't know how
//! they got in.

use std::path::Path;
use std::sync::Arc;

use tapedeck_sdk::names::has_extension;
use tapedeck_sdk::{Error, Factory, Format, PluginKind};

/// Finds the plugins that are not listed: files, and what others have put where plugins are looked for.
pub trait Finder: Send + Sync {
    /// The plugin that a pipeline names; `None` if there is none of that name.
    ///
    /// # Errors
    /// There is one, but it can't be used.
    fn find(&self, kind: PluginKind, name: &str) -> Result<Option<Arc<Factory>>, Error>;

    /// The names of those of a kind that are found by name.
    fn names(&self, kind: PluginKind) -> Vec<String>;
}

/// The plugins that a pipeline can name.
#[derive(Default, Clone)]
pub struct Registry {
    factories: Vec<Arc<Factory>>,
    finder: Option<Arc<dyn Finder>>,
    journal: Option<Arc<Factory>>,
    /// The engine's own source, which plays what all formats read.
    replay: Option<Arc<Factory>>,
}

impl Registry {
    /// A registry of these plugins, and of the engine's own source `replay`.
    #[must_use]
    pub fn new(factories: impl IntoIterator<Item = Factory>) -> Self {
        let mut factories: Vec<_> = factories.into_iter().map(Arc::new).collect();
        let replay = Arc::new(crate::replay::factory());
        factories.push(replay.clone());
        Self { factories, finder: None, journal: None, replay: Some(replay) }
    }

    /// Names the sink that keeps journals: one that needs none itself and whose files read back.
    #[must_use]
    pub fn with_journal(mut self, sink: &str) -> Self {
        self.journal = self.find(PluginKind::Sink, sink).cloned();
        self
    }

    /// Names who finds the plugins that are not listed.
    #[must_use]
    pub fn with_finder(mut self, finder: Arc<dyn Finder>) -> Self {
        self.finder = Some(finder);
        self
    }

    /// The plugin that a pipeline names: a listed one, else one that is found.
    ///
    /// # Errors
    /// There is one, but it can't be used.
    pub fn resolve(&self, kind: PluginKind, name: &str) -> Result<Option<Arc<Factory>>, Error> {
        match (self.find(kind, name), &self.finder) {
            (Some(factory), _) => Ok(Some(factory.clone())),
            (None, Some(finder)) => finder.find(kind, name),
            (None, None) => Ok(None),
        }
    }

    /// The names of all plugins of a kind.
    #[must_use]
    pub fn names(&self, kind: PluginKind) -> Vec<String> {
        let listed = self.factories.iter().map(|factory| factory.descriptor());
        let listed =
            listed.filter(|descriptor| descriptor.kind == kind).map(|descriptor| descriptor.name.clone());
        listed.chain(self.finder.iter().flat_map(|finder| finder.names(kind))).collect()
    }

    /// All listed plugins, in the order in which they were given.
    #[must_use]
    pub fn factories(&self) -> &[Arc<Factory>] {
        &self.factories
    }

    /// The listed plugin of that kind and name.
    #[must_use]
    pub fn find(&self, kind: PluginKind, name: &str) -> Option<&Arc<Factory>> {
        self.factories
            .iter()
            .find(|factory| factory.descriptor().kind == kind && factory.descriptor().name == name)
    }

    /// The format of the files of that sink.
    #[must_use]
    pub fn format_of_sink(&self, name: &str) -> Option<&Arc<dyn Format>> {
        self.find(PluginKind::Sink, name)?.format()
    }

    /// Whether it is the engine's own source `replay`.
    pub(crate) fn is_replay(&self, factory: &Arc<Factory>) -> bool {
        self.replay.as_ref().is_some_and(|replay| Arc::ptr_eq(replay, factory))
    }

    /// The sink that keeps journals.
    #[must_use]
    pub fn journal(&self) -> Option<&Arc<Factory>> {
        self.journal.as_ref()
    }

    /// The formats that can be read back.
    pub fn formats(&self) -> impl Iterator<Item = &Arc<dyn Format>> {
        self.factories.iter().filter_map(|factory| factory.format())
    }

    /// The format of files that are called so.
    #[must_use]
    pub fn format_of_name(&self, path: &Path) -> Option<&Arc<dyn Format>> {
        self.formats()
            .find(|format| format.extensions().iter().any(|extension| has_extension(path, extension)))
    }
}
