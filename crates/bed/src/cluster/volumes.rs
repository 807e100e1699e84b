//! A pod's volumes as folders of this machine: empty ones, and such whose files come from the API server and follow it, as kubelet writes
//! them (a link `..data` that is exchanged, so that a reader sees all of a change or nothing).

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::environment::{self, Values};

/// Files by path, with their modes.
type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// The volumes of a pod.
pub(super) struct Volumes {
    client: Client,
    folder: PathBuf,
    /// Tokens that are still good, by audience.
    tokens: BTreeMap<String, (String, Instant)>,
}

/// What a volume is made of.
enum Made {
    /// A folder of this machine.
    Folder(PathBuf),
    /// An empty folder.
    Empty,
    /// Files that follow the API server.
    Files(Files),
}

impl Volumes {
    pub(super) fn new(client: Client, folder: PathBuf) -> Self {
        Self { client, folder, tokens: BTreeMap::new() }
    }

    /// Makes all volumes, or brings them up to date. Gives the folder of each.
    pub(super) async fn refresh(&mut self, pod: &Pod) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let spec = pod.spec.as_ref().context("a pod has a spec")?;
        let group = spec.security_context.as_ref().and_then(|context| context.fs_group);
        let group = group.and_then(|group| u32::try_from(group).ok());
        let mut folders = BTreeMap::new();
        for volume in spec.volumes.iter().flatten() {
            let folder = self.folder.join(&volume.name);
            let made = self.make(pod, volume).await.with_context(|| format!("volume {}", volume.name))?;
            let folder = match made {
                Made::Folder(folder) => folder,
                Made::Empty if folder.exists() => folder,
                Made::Empty => {
                    std::fs::create_dir_all(&folder)?;
                    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o2777))?;
                    chown(&folder, None, group)?;
                    folder
                }
                Made::Files(files) => {
                    publish(&folder, &files, group).with_context(|| format!("writing volume {}", volume.name))?;
                    folder
                }
            };
            folders.insert(volume.name.clone(), folder);
        }
        Ok(folders)
    }

    async fn make(&mut self, pod: &Pod, volume: &Volume) -> anyhow::Result<Made> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        if volume.empty_dir.is_some() {
            return Ok(Made::Empty);
        }
        if let Some(host) = &volume.host_path {
            return host_path(&host.path, host.type_.as_deref().unwrap_or_default());
        }
        let mut files = Files::new();
        if let Some(of) = &volume.config_map {
            let optional = of.optional.unwrap_or_default();
            let values = environment::config_map(&self.client, namespace, &of.name, optional).await?;
            choose(&mut files, values, (of.items.as_deref(), optional), mode(of.default_mode))?;
        } else if let Some(of) = &volume.secret {
            let (name, optional) = (of.secret_name.as_deref().unwrap_or_default(), of.optional.unwrap_or_default());
            let values = environment::secret(&self.client, namespace, name, optional).await?;
            choose(&mut files, values, (of.items.as_deref(), optional), mode(of.default_mode))?;
        } else if let Some(of) = &volume.downward_api {
            downward(&mut files, pod, of.items.as_deref().unwrap_or_default(), mode(of.default_mode))?;
        } else if let Some(of) = &volume.projected {
            for source in of.sources.iter().flatten() {
                self.project(&mut files, pod, source, mode(of.default_mode)).await?;
            }
        } else {
            bail!("volumes of this kind are not played");
        }
        Ok(Made::Files(files))
    }

    async fn project(
        &mut self,
        files: &mut Files,
        pod: &Pod,
        source: &VolumeProjection,
        mode: u32,
    ) -> anyhow::Result<()> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(of) = &source.config_map {
            let optional = of.optional.unwrap_or_default();
            let values = environment::config_map(&self.client, namespace, &of.name, optional).await?;
            choose(files, values, (of.items.as_deref(), optional), mode)
        } else if let Some(of) = &source.secret {
            let optional = of.optional.unwrap_or_default();
            let values = environment::secret(&self.client, namespace, &of.name, optional).await?;
            choose(files, values, (of.items.as_deref(), optional), mode)
        } else if let Some(of) = &source.downward_api {
            downward(files, pod, of.items.as_deref().unwrap_or_default(), mode)
        } else if let Some(of) = &source.service_account_token {
            let token = self.token(pod, of).await.context("asking for a token")?;
            files.insert(of.path.clone(), (token.into_bytes(), mode));
            Ok(())
        } else {
            bail!("projections of this kind are not played")
        }
    }

    /// A token of the pod's account; another one when four fifths of its life are over, as kubelet does.
    async fn token(&mut self, pod: &Pod, of: &ServiceAccountTokenProjection) -> anyhow::Result<String> {
        let audience = of.audience.clone().unwrap_or_default();
        if let Some((token, good)) = self.tokens.get(&audience)
            && *good > Instant::now()
        {
            return Ok(token.clone());
        }
        let (metadata, spec) = (&pod.metadata, pod.spec.as_ref().context("a pod has a spec")?);
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.client.clone(), metadata.namespace.as_deref().unwrap_or_default());
        let seconds = of.expiration_seconds.unwrap_or(3600);
        let asked = TokenRequest {
            spec: TokenRequestSpec {
                audiences: Some(audience.clone()).filter(|name| !name.is_empty()).into_iter().collect(),
                expiration_seconds: Some(seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: metadata.name.clone(),
                    uid: metadata.uid.clone(),
                }),
            },
            ..TokenRequest::default()
        };
        let account = spec.service_account_name.as_deref().unwrap_or("default");
        let given = accounts.create_token_request(account, &PostParams::default(), &asked).await?;
        let token = given.status.context("no token was given")?.token;
        let good = Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or_default() * 4 / 5);
        self.tokens.insert(audience, (token.clone(), good));
        Ok(token)
    }
}

fn mode(given: Option<i32>) -> u32 {
    given.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644)
}

fn host_path(path: &str, kind: &str) -> anyhow::Result<Made> {
    let path = PathBuf::from(path);
    if kind == "DirectoryOrCreate" {
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
    }
    if !path.exists() {
        bail!("there is no {} on this machine", path.display());
    }
    Ok(Made::Folder(path))
}

/// Takes all keys, or those that are named.
fn choose(
    files: &mut Files,
    values: Values,
    (items, optional): (Option<&[KeyToPath]>, bool),
    mode: u32,
) -> anyhow::Result<()> {
    let Some(values) = values else { return Ok(()) };
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        files.extend(values.into_iter().map(|(key, value)| (key, (value, mode))));
        return Ok(());
    };
    for item in items {
        match values.get(&item.key) {
            Some(value) => {
                let mode = item.mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(mode);
                files.insert(item.path.clone(), (value.clone(), mode));
            }
            None if optional => {}
            None => bail!("references non-existent key {}", item.key),
        }
    }
    Ok(())
}

fn downward(files: &mut Files, pod: &Pod, items: &[DownwardAPIVolumeFile], mode: u32) -> anyhow::Result<()> {
    for item in items {
        let value = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => environment::field(pod, field, None)?,
            (None, Some(resource)) => environment::resource(pod, resource, None)?,
            (None, None) => bail!("{} names no field", item.path),
        };
        let mode = item.mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(mode);
        files.insert(item.path.clone(), (value.into_bytes(), mode));
    }
    Ok(())
}

/// Makes these the files of a volume, at once (`kubernetes: pkg/volume/util/atomic_writer.go`).
fn publish(folder: &Path, files: &Files, group: Option<u32>) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    let data = folder.join("..data");
    let before = std::fs::read_link(&data).ok();
    let same = |(path, (content, _)): (&String, &(Vec<u8>, u32))| {
        std::fs::read(data.join(path)).is_ok_and(|old| old == *content)
    };
    let listed = before.as_ref().map(|before| paths(&folder.join(before), Path::new("")));
    if listed.is_some_and(|listed| listed.len() == files.len()) && files.iter().all(same) {
        return Ok(());
    }
    let number = before.as_ref().and_then(|name| name.to_str()?.strip_prefix("..v")?.parse::<u64>().ok()).unwrap_or(0);
    let next = format!("..v{}", number + 1);
    for (path, (content, mode)) in files {
        let file = folder.join(&next).join(path);
        std::fs::create_dir_all(file.parent().context("a file has a folder")?)?;
        std::fs::write(&file, content)?;
        // Those of the group may read it, whoever else may.
        let mode = if group.is_some() { mode | 0o440 } else { *mode };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?;
        chown(&file, None, group)?;
    }
    std::fs::create_dir_all(folder.join(&next))?;
    let beside = folder.join("..data_tmp");
    let _ = std::fs::remove_file(&beside);
    symlink(&next, &beside)?;
    std::fs::rename(&beside, &data)?;
    let firsts = |all: Vec<PathBuf>| -> std::collections::BTreeSet<PathBuf> {
        all.iter().filter_map(|path| path.iter().next().map(PathBuf::from)).collect()
    };
    let wanted = firsts(files.keys().map(PathBuf::from).collect());
    for name in &wanted {
        let link = folder.join(name);
        if link.symlink_metadata().is_err() {
            symlink(Path::new("..data").join(name), link)?;
        }
    }
    if let Some(before) = before {
        for gone in firsts(paths(&folder.join(&before), Path::new(""))).difference(&wanted) {
            let _ = std::fs::remove_file(folder.join(gone));
        }
        std::fs::remove_dir_all(folder.join(before))?;
    }
    Ok(())
}

/// The files below a folder, relative to it.
fn paths(folder: &Path, below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join(below)).into_iter().flatten().flatten();
    let found = entries.flat_map(|entry| {
        let path = below.join(entry.file_name());
        if entry.path().is_dir() { paths(folder, &path) } else { vec![path] }
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_at_once_and_what_is_gone_is_gone() {
        let folder = std::env::temp_dir().join(format!("meltemi-volume-{}", std::process::id()));
        let files = |all: &[(&str, &str)]| -> Files {
            all.iter().map(|(path, text)| ((*path).to_owned(), (text.as_bytes().to_vec(), 0o644))).collect()
        };
        publish(&folder, &files(&[("a", "1"), ("deep/b", "2")]), None).unwrap();
        let first = std::fs::read_link(folder.join("..data")).unwrap();
        let read = |path: &str| std::fs::read_to_string(folder.join(path));
        assert_eq!((read("a").unwrap(), read("deep/b").unwrap()), ("1".to_owned(), "2".to_owned()));
        publish(&folder, &files(&[("a", "1"), ("deep/b", "2")]), None).unwrap();
        assert_eq!(std::fs::read_link(folder.join("..data")).unwrap(), first, "nothing has changed");
        publish(&folder, &files(&[("a", "3"), ("c", "4")]), None).unwrap();
        assert_eq!((read("a").unwrap(), read("c").unwrap()), ("3".to_owned(), "4".to_owned()));
        assert!(read("deep/b").is_err() && !folder.join(first).exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
