/**
 * The manifests of deploy/kubernetes without a cluster: each is valid by the API's schemas, their names, ports and
 * selectors agree, and what the containers are told is what `fromEnvironment` and `pslib serve` need.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { StatefulSet } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Secret, Service } from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { checkServerOptions } from '../../../src/io/server/serverOptions.js';
import { fromEnvironment, positionIn } from '../../../src/launch/place/fromEnvironment.js';

const folder = fileURLToPath(new URL('../../../deploy/kubernetes/', import.meta.url));
const kinds = { ConfigMap, Secret, Service, StatefulSet, Job, NetworkPolicy, PodDisruptionBudget };

interface Manifest {
  readonly kind: keyof typeof kinds;
  readonly metadata: { readonly name: string };
  readonly spec?: object;
}

const files = readdirSync(folder).filter((name) => name !== 'kustomization.yaml');
const manifests = files.flatMap((file) =>
  parseAllDocuments(readFileSync(folder + file, 'utf8')).map((each) => each.toJS() as Manifest),
);

function find<K extends keyof typeof kinds>(kind: K, name: string): InstanceType<(typeof kinds)[K]> {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found as unknown as InstanceType<(typeof kinds)[K]>;
}

/** `value` so that the paths of all that is read in it come to `read`. */
function watched<T>(value: T, path: string, read: Set<string>): T {
  if (value === null || typeof value !== 'object') return value;
  return new Proxy(value, {
    get: (target, key) => {
      const at = `${path}/${String(key)}`;
      read.add(at);
      return watched(Reflect.get(target, key) as unknown, at, read);
    },
  });
}

/** The paths of all fields in `value`. */
function pathsOf(value: unknown, path: string): string[] {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, each]) => [
    `${path}/${key}`,
    ...pathsOf(each, `${path}/${key}`),
  ]);
}

/** Validates by the API's schema. Throws if something is wrong; returns the fields that the schema does not know. */
function unknownFields(
  kind: keyof typeof kinds,
  { metadata, spec }: { metadata: object; spec?: object },
): string[] {
  const read = new Set<string>();
  const object = new kinds[kind]();
  // The schema's own code reads every field that it knows.
  Object.assign(object, { metadata: watched(metadata, '/metadata', read) });
  if (spec !== undefined) Object.assign(object, { spec: watched(spec, '/spec', read) });
  object.validate();
  const paths = [...pathsOf(metadata, '/metadata'), ...pathsOf(spec ?? {}, '/spec')];
  return paths.filter((path) => !read.has(path));
}

test.each(manifests.map((each) => [each.kind, each.metadata.name, each] as const))(
  '%s %s is valid, and has no field that the API does not know',
  (kind, _name, manifest) => {
    new kinds[kind](manifest as never).validate();
    expect(unknownFields(kind, manifest)).toEqual([]);
  },
);

test('a field that is misspelt is found, and one of a wrong type', () => {
  const spec = {
    serviceName: 'x',
    selector: {},
    template: { spec: { containers: [{ name: 'x', img: 'y' }] } },
  };
  expect(unknownFields('StatefulSet', { metadata: {}, spec })).toEqual([
    '/spec/template/spec/containers/0/img',
  ]);
  expect(() => unknownFields('StatefulSet', { metadata: {}, spec: { ...spec, replicas: '2' } })).toThrow(
    'replicas',
  );
});

test('kustomization.yaml names every file', () => {
  const { resources } = parse(readFileSync(`${folder}kustomization.yaml`, 'utf8')) as { resources: string[] };
  expect(resources.sort()).toEqual(files.sort());
});

const set = find('StatefulSet', 'pslib-server');
const job = find('Job', 'pslib-worker');
const service = find('Service', 'pslib-server');
const serverPod = set.spec?.template;
const workerPod = job.spec?.template;
const server = serverPod?.spec?.containers[0];
const worker = workerPod?.spec?.containers[0];

/** What a container is told, with what Kubernetes itself adds. */
function environmentOf(container: typeof server, pod: Record<string, string>): Record<string, string> {
  const own = (container?.env ?? []).map(({ name, value, valueFrom }) => [
    name,
    value ?? `secret:${valueFrom?.secretKeyRef?.name}/${valueFrom?.secretKeyRef?.key}`,
  ]);
  return { KUBERNETES_SERVICE_HOST: '10.96.0.1', ...Object.fromEntries(own), ...pod };
}

describe('servers', () => {
  test('are selected by their Service, StatefulSet, budget and policy', () => {
    const labels = serverPod?.metadata?.labels;
    const budget = find('PodDisruptionBudget', 'pslib-server');
    const policy = find('NetworkPolicy', 'pslib-server');
    expect(set.spec?.selector.matchLabels).toEqual(labels);
    expect(service.spec?.selector).toEqual(labels);
    expect(budget.spec?.selector?.matchLabels).toEqual(labels);
    expect(policy.spec?.podSelector?.matchLabels).toEqual(labels);
    const [rule] = policy.spec?.ingress ?? [];
    expect(rule?.from?.[0]?.podSelector?.matchLabels).toEqual(workerPod?.metadata?.labels);
    expect(rule?.ports?.map(({ port }) => port)).toEqual(server?.ports?.map(({ name }) => name));
  });

  test('are behind a headless Service that tells of those that are coming back', () => {
    expect(set.spec?.serviceName).toBe(service.metadata?.name);
    expect(service.spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
    const [port] = server?.ports ?? [];
    expect(service.spec?.ports).toMatchObject([{ port: port?.containerPort, targetPort: port?.name }]);
  });

  test('each find their own place, and listen where they are looked for', async () => {
    const count = set.spec?.replicas ?? 0;
    for (let rank = 0; rank < count; rank++) {
      const env = environmentOf(server, { HOSTNAME: `${set.metadata?.name}-${rank}` });
      const place = await fromEnvironment({ env });
      if (place.role !== 'server') throw new Error('it is a server');
      expect(place).toMatchObject({ launcher: 'kubernetes', rank, worldSize: count });
      expect(place.serverOptions).toMatchObject({
        host: '0.0.0.0',
        port: server?.ports?.[0]?.containerPort,
        shard: { index: rank, count },
        auth: {
          'secret:pslib-token/token': { role: 'worker' },
          'secret:pslib-token/monitor': { role: 'monitor' },
        },
      });
      const mounts = server?.volumeMounts?.map(({ mountPath }) => mountPath);
      expect(mounts).toContain((place.serverOptions.dataDir ?? '').replace(`/server-${rank}`, ''));
      const { 'model.json': model = '' } = find('ConfigMap', 'pslib-model').data ?? {};
      const checked = checkServerOptions({ ...JSON.parse(model), ...place.serverOptions });
      expect(checked.core.minWorkers).toBe(job.spec?.completions);
    }
  });

  test('serve the file that is mounted, and are asked at the port and the paths that they answer', () => {
    expect(server?.args?.slice(0, 2)).toEqual(['serve', '/etc/pslib/model.json']);
    expect(serverPod?.spec?.volumes).toContainEqual({ name: 'model', configMap: { name: 'pslib-model' } });
    const probes = [server?.startupProbe, server?.livenessProbe, server?.readinessProbe];
    expect(probes.map((probe) => probe?.httpGet?.path)).toEqual(['/healthz', '/healthz', '/readyz']);
    expect(probes.map((probe) => probe?.httpGet?.port)).toEqual(Array(3).fill(server?.ports?.[0]?.name));
  });

  test('have the time to drain', () => {
    const drain = Number(server?.args?.[(server.args?.indexOf('--drain-timeout') ?? 0) + 1]);
    expect(serverPod?.spec?.terminationGracePeriodSeconds).toBeGreaterThan(drain + 15);
  });
});

describe('workers', () => {
  test('each find their own place, and the servers', () => {
    const count = job.spec?.completions ?? 0;
    expect(job.spec).toMatchObject({ completionMode: 'Indexed', parallelism: count });
    for (let rank = 0; rank < count; rank++) {
      const env = environmentOf(worker, { HOSTNAME: 'pslib-worker-x', JOB_COMPLETION_INDEX: `${rank}` });
      const position = positionIn(env, 'x');
      expect(position).toMatchObject({ role: 'worker', rank, worldSize: count });
      const { sites } = positionIn(environmentOf(server, { HOSTNAME: 'pslib-server-0' }), 'x');
      expect(position.sites).toEqual(sites);
      expect(sites).toHaveLength(set.spec?.replicas ?? 0);
      const hosts = sites.map((site) => ('url' in site ? new URL(site.url).hostname : ''));
      expect(hosts).toEqual(hosts.map((_, i) => `${set.metadata?.name}-${i}.${service.metadata?.name}`));
    }
  });
});

test('the token is in a Secret that exists, and in no manifest of a pod', () => {
  expect(Object.keys(find('Secret', 'pslib-token').stringData ?? {})).toEqual(['token']);
  for (const container of [server, worker]) {
    const token = container?.env?.find(({ name }) => name === 'PSLIB_TOKEN');
    expect(token).toEqual({
      name: 'PSLIB_TOKEN',
      valueFrom: { secretKeyRef: { name: 'pslib-token', key: 'token' } },
    });
  }
});

test('who only watches has a token of its own, if there is one, and workers do not', () => {
  const monitor = server?.env?.find(({ name }) => name === 'PSLIB_MONITOR_TOKEN');
  expect(monitor?.valueFrom).toEqual({
    secretKeyRef: { name: 'pslib-token', key: 'monitor', optional: true },
  });
  expect(worker?.env?.map(({ name }) => name)).not.toContain('PSLIB_MONITOR_TOKEN');
});

test('pods are not told of other Services, whose variables could be taken for ours', () => {
  for (const pod of [serverPod, workerPod]) expect(pod?.spec?.enableServiceLinks).toBe(false);
});
