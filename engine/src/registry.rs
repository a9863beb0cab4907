//! The plugins that a pipeline can name. Who fills it decides what there is; the engine doesn't know how they got in.

use std::sync::Arc;

use tapedeck_sdk::{Factory, Format, PluginKind};

/// The plugins that a pipeline can name.
#[derive(Default, Clone)]
pub struct Registry {
    factories: Vec<Arc<Factory>>,
    journal: Option<Arc<Factory>>,
}

impl Registry {
    /// A registry of these plugins.
    #[must_use]
    pub fn new(factories: impl IntoIterator<Item = Factory>) -> Self {
        Self { factories: factories.into_iter().map(Arc::new).collect(), journal: None }
    }

    /// Names the sink that keeps journals: one that needs none itself and whose files read back.
    #[must_use]
    pub fn with_journal(mut self, sink: &str) -> Self {
        self.journal = self.find(PluginKind::Sink, sink).cloned();
        self
    }

    /// All plugins, in the order in which they were given.
    #[must_use]
    pub fn factories(&self) -> &[Arc<Factory>] {
        &self.factories
    }

    /// The plugin of that kind and name.
    #[must_use]
    pub fn find(&self, kind: PluginKind, name: &str) -> Option<&Arc<Factory>> {
        self.factories
            .iter()
            .find(|factory| factory.descriptor().kind == kind && factory.descriptor().name == name)
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

    /// The format of files with that extension.
    #[must_use]
    pub fn format_of_extension(&self, extension: &str) -> Option<&Arc<dyn Format>> {
        self.formats().find(|format| format.extensions().contains(&extension))
    }
}
