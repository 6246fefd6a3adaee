{{/* Prefix of the names of all objects of this chart. */}}
{{- define "aiopt.fullname" -}}
{{- if contains "aiopt" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-aiopt" (.Release.Name | trunc 44 | trimSuffix "-") }}
{{- end }}
{{- end }}

{{/* The release whose Airflow is meant: this one, or one that runs beside it. */}}
{{- define "aiopt.airflowRelease" -}}
{{ .Values.airflowRelease | default .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "aiopt.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Whether an executor that is named starts pods: LocalExecutor and CeleryExecutor do not. */}}
{{- define "aiopt.startsPods" -}}
{{- if contains "KubernetesExecutor" (.Values.airflow.executor | default "") }}true{{ end }}
{{- end }}

{{/*
Where stages run, as a list below "places": the release's own namespace and those of teams, each with the service
accounts that may launch pods there.
*/}}
{{- define "aiopt.places" -}}
{{- $release := include "aiopt.airflowRelease" . }}
{{- $launchers := .Values.rbac.launchers }}
{{- if not $launchers }}
{{- $runsTasks := contains "LocalExecutor" (.Values.airflow.executor | default "") }}
{{- $launchers = list (printf "%s-worker" $release) }}
{{- if or $runsTasks (include "aiopt.startsPods" .) }}
{{- $launchers = append $launchers (printf "%s-scheduler" $release) }}
{{- end }}
{{- end }}
{{- $places := list (dict "namespace" .Release.Namespace "launchers" $launchers "team" "") }}
{{- range .Values.teams }}
{{- $places = append $places (dict "namespace" .namespace "launchers" (list .serviceAccount) "team" .name "quota" (.quota | default dict)) }}
{{- end }}
{{- dict "places" $places | toYaml }}
{{- end }}
