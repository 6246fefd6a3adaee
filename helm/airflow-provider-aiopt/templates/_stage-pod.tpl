{{/*
What KubernetesStageOperator does not know by itself. All else, such as GPUs, is its pod_resources: lists of a template,
such as volumes, would be added to its own.
*/}}
{{- define "aiopt.stageBase" -}}
apiVersion: v1
kind: Pod
metadata:
  name: placeholder
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/component: stage
    {{- toYaml .Values.stages.podSelector | nindent 4 }}
  {{- if .Values.stages.podTemplates.cpu.safeToEvict | not }}
  annotations:
    cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
  {{- end }}
spec:
  automountServiceAccountToken: false
  serviceAccountName: {{ .Values.stages.serviceAccount.name }}
  {{- with .Values.stages.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
  - name: {{ . }}
    {{- end }}
  {{- end }}
  containers:
  - name: base
    imagePullPolicy: {{ .Values.stages.image.pullPolicy }}
{{- end }}

{{/*
A stage's whole pod, for operators that bring nothing. Arguments: the root context, and what the pod is given.
It is what KubernetesStageOperator makes: non-root, a root file system that is not written to, no token.
*/}}
{{- define "aiopt.stagePod" -}}
{{- $root := index . 0 }}
{{- $given := index . 1 }}
{{- $image := $root.Values.stages.image -}}
apiVersion: v1
kind: Pod
metadata:
  name: placeholder
  labels:
    app.kubernetes.io/name: {{ $root.Chart.Name }}
    app.kubernetes.io/component: stage
    {{- toYaml $root.Values.stages.podSelector | nindent 4 }}
  {{- if $given.safeToEvict | not }}
  annotations:
    cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
  {{- end }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  serviceAccountName: {{ $root.Values.stages.serviceAccount.name }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 50000
    runAsGroup: 0
    fsGroup: 0
    seccompProfile:
      type: RuntimeDefault
  {{- with $given.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $given.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.stages.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
  - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $given.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $tolerations := $given.tolerations }}
  {{- if $given.gpus }}
  {{- $tolerations = append $tolerations (dict "key" $given.gpuResource "operator" "Exists" "effect" "NoSchedule") }}
  {{- end }}
  {{- with $tolerations }}
  tolerations:
    {{- toYaml . | nindent 2 }}
  {{- end }}
  containers:
  - name: base
    image: {{ printf "%s:%s" $image.repository $given.tag }}
    imagePullPolicy: {{ $image.pullPolicy }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    env:
    - name: AIOPT_CACHE_DIR
      value: {{ ternary "/var/cache/aiopt" "/tmp/cache" (not (empty $given.modelCache)) }}
    resources:
      requests:
        cpu: {{ $given.cpu | quote }}
        memory: {{ $given.memory | quote }}
        {{- if $given.gpus }}
        {{ $given.gpuResource }}: {{ $given.gpus | quote }}
        {{- end }}
      limits:
        memory: {{ $given.memory | quote }}
        {{- if $given.gpus }}
        {{ $given.gpuResource }}: {{ $given.gpus | quote }}
        {{- end }}
    volumeMounts:
    - name: scratch
      mountPath: /tmp
    # The image's work folder.
    - name: work
      mountPath: /opt/aiopt
    {{- if $given.sharedMemory }}
    - name: shared-memory
      mountPath: /dev/shm
    {{- end }}
    {{- if $given.modelCache }}
    - name: model-cache
      mountPath: /var/cache/aiopt
    {{- end }}
  volumes:
  {{- range list "scratch" "work" }}
  - name: {{ . }}
    emptyDir:
      sizeLimit: {{ $given.scratch }}
  {{- end }}
  {{- with $given.sharedMemory }}
  - name: shared-memory
    emptyDir:
      medium: Memory
      sizeLimit: {{ . }}
  {{- end }}
  {{- with $given.modelCache }}
  - name: model-cache
    persistentVolumeClaim:
      claimName: {{ . }}
  {{- end }}
{{- end }}
