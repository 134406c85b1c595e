"""What the command line refuses, besides what the rooms refuse."""

from storage.kernel.problem import Problem, Unavailable
from storage.kernel.words import Words


class SettingsRefused(Problem):
    """设置有误. The SHUGANG_* variables do not make a market that can start."""

    status = 422
    title = Words("设置有误，无法启动", "The settings do not allow a start")
    remedy = Words("请对照 docs/settings.md 修改环境变量。", "Correct the variables; see docs/settings.md.")


class BrokerMissing(Problem):
    """缺少消息队列. A worker of its own has nowhere to get its work from."""

    status = 409
    title = Words("独立的工作进程需要消息队列", "A worker of its own needs a broker")
    remedy = Words(
        "请设置 SHUGANG_BROKER_URL；未设置时任务在 `shugang serve` 内运行。",
        "Set SHUGANG_BROKER_URL; without one the work is done inside `shugang serve`.",
    )


class WorkerSilent(Unavailable):
    """工作进程无应答. No worker of this machine answers over the broker."""

    title = Words("本机没有应答的工作进程", "No worker of this machine answers")
    remedy = Words("请启动 `shugang worker`。", "Start `shugang worker`.")


class PortTaken(Problem):
    """端口被占用. Somebody else listens there."""

    status = 409
    title = Words("端口已被占用", "The port is taken")
    remedy = Words("请设置 SHUGANG_PORT。", "Set SHUGANG_PORT.")


class SchemaOutdated(Problem):
    """数据库结构不符. The database is not at the revision this program works with."""

    status = 409
    title = Words("数据库结构不是当前版本", "The database is not at this program's schema")
    remedy = Words("请运行 `shugang db upgrade`。", "Run `shugang db upgrade`.")


class DatabaseAway(Unavailable):
    """数据库不可用. The database did not answer or refused."""

    title = Words("数据库不可用", "The database is unavailable")
    remedy = Words("请检查 SHUGANG_STORAGE__DATABASE_URL。", "Check SHUGANG_STORAGE__DATABASE_URL.")


class FileRefused(Problem):
    """文件不可用. A file or folder named on the command line cannot be used."""

    status = 422
    title = Words("文件或文件夹不可用", "A file or folder cannot be used")
    remedy = Words("请检查路径、权限和内容。", "Check the path, its permissions and its content.")
