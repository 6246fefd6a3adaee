{{/* What values.schema.json cannot say: values that contradict each other. Each says what to do. */}}
{{- define "aiopt.check" -}}
{{- $airflow := .Values.airflow }}
{{- $installed := .Values.officialChart.enabled }}
{{- if and (not $installed) (not .Values.airflowRelease) }}
{{- fail "airflowRelease is empty, but officialChart.enabled is false. Name the release of the official chart that runs in this namespace, or set officialChart.enabled to true" }}
{{- end }}
{{- $config := $airflow.config | default dict }}
{{- $options := $config.aiopt | default dict }}
{{- $queue := $options.gpu_queue | default "" }}
{{- $slots := $options.gpu_pool_slots | default 0 | int }}
{{- if and $installed $queue $slots (contains "CeleryExecutor" $airflow.executor) }}
{{- $queues := list }}
{{- range (dig "workers" "celery" "sets" list $airflow) }}
{{- $queues = concat $queues (splitList "," (.queue | default "")) }}
{{- end }}
{{- if not (has $queue $queues) }}
{{- fail (printf "airflow.config.aiopt.gpu_queue is %q, but no worker set takes from that queue: GPU tasks would wait for ever. Add a set with queue: %s to airflow.workers.celery.sets, as values-gpu.yaml does" $queue $queue) }}
{{- end }}
{{- end }}
{{- if and $installed .Values.stages.podTemplates.enabled }}
{{- $wanted := .Values.stages.podTemplates.configMapName }}
{{- $mounted := false }}
{{- range ($airflow.volumes | default list) }}
{{- if eq (dig "configMap" "name" "" .) $wanted }}{{ $mounted = true }}{{ end }}
{{- end }}
{{- if not $mounted }}
{{- fail (printf "stages.podTemplates.configMapName is %q, but airflow.volumes mounts no such ConfigMap, so no task could read the templates. Name it in airflow.volumes too, or set stages.podTemplates.enabled to false" $wanted) }}
{{- end }}
{{- end }}
{{- $names := list }}
{{- $namespaces := list .Release.Namespace }}
{{- range .Values.teams }}
{{- if has .name $names }}
{{- fail (printf "teams: two are named %q. Give each team a name of its own" .name) }}
{{- end }}
{{- if has .namespace $namespaces }}
{{- fail (printf "teams: %s is to have the namespace %q, which is Airflow's or another team's. Give each team a namespace of its own, or its pods could use the others' service accounts" .name .namespace) }}
{{- end }}
{{- $names = append $names .name }}
{{- $namespaces = append $namespaces .namespace }}
{{- end }}
{{- end }}
