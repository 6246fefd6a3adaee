"""Every error that the package raises on purpose.

::

    AioptError
    ├── SpecError (ValueError)                 the pipeline spec is wrong
    ├── MissingExtraError (ImportError)        an optional dependency is not installed
    ├── SourceError (OSError)                  the source cannot be listed or reached at all
    ├── StorageError (OSError)                 the workspace or the sink cannot be read or written
    │   ├── StorageFullError                   ... because there is no room left
    │   └── ExclusiveCreateError               ... because it cannot create a file only where there is none
    ├── ShardError (ValueError)                a shard reference, manifest or shard file is unusable
    ├── AccountingError (RuntimeError)         records in != results + quarantined: a bug, never ignored
    ├── TooManyBadRecordsError (RuntimeError)  more records are bad than ``max_bad_fraction`` allows
    ├── StuckThreadsError (RuntimeError)       too many records hang at once in their decoder
    ├── ProcessStartError (RuntimeError)       a process for preprocessing ends or hangs before it is ready
    ├── TransformError (TypeError)             a custom transform does not keep to its protocol
    ├── PreprocessAccuracyError (ValueError)   fast preprocessing changes too many of the model's answers
    ├── UploadRecordError (ValueError)         an event, manifest or state file holds no upload
    ├── NotificationError (ValueError)         a queue's message tells of no upload: it becomes a dead letter
    ├── ProfilingError (RuntimeError)          the profiler asked for cannot watch this stage, or not here
    ├── ReportError (ValueError)               a stage or run report is missing or unreadable
    ├── DoctorError (RuntimeError)             what ``aiopt doctor`` wants to know cannot be found out
    ├── ComparisonError (ValueError)           runs cannot be compared, or answer differently
    ├── SimulationError (ValueError)           a simulation is asked for what it cannot answer
    ├── TuningError (RuntimeError)             a pipeline cannot be tuned, or its own settings do not run
    ├── AirflowApiError (RuntimeError)         Airflow's public API refused or did not answer
    ├── PodError (RuntimeError)                a stage's pod failed, or was never made
    │   ├── PodRefusedError                    the Kubernetes API refused it: permission, namespace, quota
    │   ├── PodUnschedulableError              no node takes it: no such GPU, none free, taints
    │   ├── PodImageError                      its image cannot be pulled
    │   ├── PodStartError                      it has a node and does not start there
    │   ├── PodPreemptedError                  one of higher priority took its place
    │   ├── PodEvictedError                    its node had to do without it, or it used too much disk
    │   ├── PodOutOfMemoryError                it used more memory than it may
    │   ├── PodLostError                       it, or its node, is gone
    │   └── PodStageError                      the stage in it failed
    ├── ConfigurationError (ValueError)        an ``[aiopt]`` option, a threshold or a profile's name is wrong
    ├── ModelError
    │   ├── ModelNotFoundError (FileNotFoundError)
    │   ├── ModelIntegrityError (ValueError)   the file's sha256 is not the pinned one
    │   ├── ModelLoadError (RuntimeError)      the runtime cannot load the file
    │   ├── ModelRunError (RuntimeError)       the loaded model fails on a batch
    │   │   └── DeviceOutOfMemoryError         ... because its memory does not hold the batch
    │   ├── ModelInputError (ValueError)       the prepared tensors do not fit the model
    │   ├── ModelOutputError (ValueError)      the model's output is not what the postprocessor needs
    │   ├── DeviceUnavailableError (RuntimeError)  the device asked for is not to be had
    │   └── ModelAccuracyError (ValueError)    an optimised model fails its accuracy gate
    └── RecordError (ValueError)               one record is bad: it is quarantined, the run goes on
        ├── RecordReadError                    it vanished, or may not be read
        ├── UploadChangedError                 it was replaced by a newer upload
        ├── EmptyRecordError                   it holds no bytes
        ├── RecordTooLargeError                it exceeds a size limit
        ├── PathEscapeError                    it leads out of the source's root
        ├── DecodeError                        its bytes are not what they should be
        ├── RecordTimeoutError                 preparing it takes longer than a record may
        ├── RecordCrashError                   preparing it kills the process that does
        └── NonFiniteOutputError               the model answered NaN or infinity for it

Messages say what is wrong, where, what was found, what is allowed and what to do.  Those under
:class:`RecordError` never fail a task on their own; every other one does.
"""

from __future__ import annotations


class AioptError(Exception):
    """Base class of all errors raised by ``airflow_provider_aiopt``.

    :ivar retryable: whether running the same work again may succeed; operators fail at once where it is
        False, whatever retries the task has left
    """

    retryable: bool = True


class SpecError(AioptError, ValueError):
    """The pipeline spec is wrong; the message lists every key at fault."""

    retryable = False


class MissingExtraError(AioptError, ImportError):
    """An optional dependency is not installed.

    :param module: the module that could not be imported
    :param extra: the extra of this distribution that brings it
    :param purpose: what it was needed for
    """

    retryable = False

    def __init__(self, module: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the module {module!r}, which is not installed. "
            f"Install it with: pip install 'airflow-provider-aiopt[{extra}]'"
        )
        self.module = module
        self.extra = extra
        self.purpose = purpose

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        """Pickle by the constructor's arguments, so that the error survives process boundaries."""
        return type(self), (self.module, self.extra, self.purpose)


class SourceError(AioptError, OSError):
    """The source cannot be listed or reached: missing, empty, refused as a whole or not answering."""


class StorageError(AioptError, OSError):
    """The workspace or the sink cannot be read or written."""


class StorageFullError(StorageError):
    """There is no room left where shards or results are written."""


class ExclusiveCreateError(StorageError):
    """Storage cannot create a file only where there is none, by which uploads are claimed."""

    retryable = False


class ShardError(AioptError, ValueError):
    """A shard reference, manifest or shard file is unusable."""


class AccountingError(AioptError, RuntimeError):
    """Records in are not results plus quarantined records."""

    retryable = False


class TooManyBadRecordsError(AioptError, RuntimeError):
    """More records are bad than ``execution.max_bad_fraction`` allows."""

    retryable = False


class StuckThreadsError(AioptError, RuntimeError):
    """Too many records hang at once in their decoder; on a machine that was only slow a retry may succeed."""


class ProcessStartError(AioptError, RuntimeError):
    """A process for preprocessing ends or hangs before it is ready; a retry may find more memory."""


class TransformError(AioptError, TypeError):
    """A custom transform does not keep to its protocol, or cannot be made."""

    retryable = False


class PreprocessAccuracyError(AioptError, ValueError):
    """Fast preprocessing changes more of the model's answers than is allowed."""

    retryable = False


class UploadRecordError(AioptError, ValueError):
    """What should be an upload, in an event, a manifest or a state file, is none."""

    retryable = False


class NotificationError(AioptError, ValueError):
    """A queue's message should tell of uploads, and does not.  It becomes a dead letter."""

    retryable = False


class ProfilingError(AioptError, RuntimeError):
    """The profiler asked for cannot watch this stage, or may not do so here; nothing has begun yet."""

    retryable = False


class ReportError(AioptError, ValueError):
    """A stage or run report is missing or unreadable."""


class DoctorError(AioptError, RuntimeError):
    """What ``aiopt doctor`` wants to know cannot be found out."""

    retryable = False


class ComparisonError(AioptError, ValueError):
    """Runs cannot be compared: too few, not whole, of different work, or without the metric."""

    retryable = False


class SimulationError(AioptError, ValueError):
    """A simulation is asked for what it cannot answer: no such load, or nothing meets the goal."""


class TuningError(AioptError, RuntimeError):
    """A pipeline cannot be tuned: its own settings do not run, or the study is another pipeline's."""

    retryable = False


class AirflowApiError(AioptError, RuntimeError):
    """Airflow's public API refused a request or did not answer.

    :param message: what was asked, what came back and what to do
    :param status: the HTTP status, None where there was no answer or an unusable one
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PodError(AioptError, RuntimeError):
    """A stage's pod failed, or was never made.

    :param message: what happened to which pod, and what to do
    :param retryable: whether another pod may do better; default: as the class has it
    """

    def __init__(self, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable


class PodRefusedError(PodError):
    """The Kubernetes API refused the pod: permissions, namespace, quota or the manifest itself."""

    retryable = False


class PodUnschedulableError(PodError):
    """No node took the pod in time; one may become free, unless none has what it asks for."""


class PodImageError(PodError):
    """The pod's image cannot be pulled; only a registry that does not answer may do better next time."""

    retryable = False


class PodStartError(PodError):
    """The pod has a node and does not start there, as where a volume cannot be attached."""


class PodPreemptedError(PodError):
    """A pod of higher priority took its place."""


class PodEvictedError(PodError):
    """Its node had to do without it, or it wrote more to disk than it may, which would come again."""


class PodOutOfMemoryError(PodError):
    """The pod used more memory than its limit, which would come again; a node that was full may not."""

    retryable = False


class PodLostError(PodError):
    """The pod, or its node, is gone."""


class PodStageError(PodError):
    """The stage failed; its exit code says whether it would again."""


class ConfigurationError(AioptError, ValueError):
    """An option of the section ``[aiopt]``, a threshold, or the name of a profile is wrong."""

    retryable = False


class ModelError(AioptError):
    """Base class of what can be wrong with a model."""

    retryable = False


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no model file at the given place."""


class ModelIntegrityError(ModelError, ValueError):
    """The model file's sha256 differs from the pinned one."""


class ModelLoadError(ModelError, RuntimeError):
    """The runtime cannot load the model file."""


class ModelRunError(ModelError, RuntimeError):
    """The loaded model fails on a batch; another attempt, when less else runs, may succeed."""

    retryable = True


class DeviceOutOfMemoryError(ModelRunError):
    """The device's memory does not hold a batch; inference halves the batch and goes on while it can."""


class ModelInputError(ModelError, ValueError):
    """The prepared tensors do not fit the model's input."""


class ModelOutputError(ModelError, ValueError):
    """The model's output does not have the form that postprocessing needs."""


class DeviceUnavailableError(ModelError, RuntimeError):
    """The device that the spec asks for cannot be used."""


class ModelAccuracyError(ModelError, ValueError):
    """An optimised model differs from the original by more than its accuracy gate allows."""


class RecordError(AioptError, ValueError):
    """One record is bad.  It goes to quarantine with this error's class and message."""


class RecordReadError(RecordError):
    """The record vanished after listing, or may not be read."""


class UploadChangedError(RecordError):
    """The object was replaced after this upload of it was seen; its new version is an upload of its own."""


class EmptyRecordError(RecordError):
    """The record holds no bytes."""


class RecordTooLargeError(RecordError):
    """The record exceeds a size limit of the spec."""


class PathEscapeError(RecordError):
    """The record's path leads out of the source's root by ``..`` or a symbolic link."""


class DecodeError(RecordError):
    """The record's bytes cannot be decoded as what they should be."""


class RecordTimeoutError(RecordError):
    """Preparing the record takes longer than ``execution.record_timeout_s`` allows."""


class RecordCrashError(RecordError):
    """Preparing the record kills the process that does: the transform crashes, or memory runs out."""


class NonFiniteOutputError(RecordError):
    """The model answered NaN or infinity for this record."""
