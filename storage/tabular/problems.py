"""Refusals of files: each names the file, the place where known, and the way out."""

from storage.kernel.problem import Problem
from storage.kernel.words import Words


class UnreadableFile(Problem):
    """文件无法读取. The parent of every refusal of an uploaded file."""

    status = 422
    title = Words("文件无法读取", "The file cannot be read")
    remedy = Words("请修正文件后重新上传。", "Correct the file and upload it again.")


class NotTabular(UnreadableFile):
    """不是表格数据. The content is no table we know: a PDF, an image, an archive, free text."""

    title = Words("文件不是表格数据", "The file is not a table")
    remedy = Words(
        "请上传 CSV、TSV、NDJSON、JSON 对象数组、Parquet 或 XLSX。",
        "Upload CSV, TSV, NDJSON, a JSON array of objects, Parquet or XLSX.",
    )


class WrongEncoding(UnreadableFile):
    """编码不符. Bytes that the encoding, found or declared, does not have."""

    title = Words("文件编码不正确", "Wrong text encoding")
    remedy = Words(
        "请用 UTF-8 或 GB18030 另存文件，并声明相同的编码。",
        "Save the file as UTF-8 or GB18030 and declare that encoding.",
    )


class NulBytes(UnreadableFile):
    """含空字节. A text file with NUL bytes is damaged or binary."""

    title = Words("文本中含有空字节", "NUL bytes in a text file")
    remedy = Words(
        "文件可能损坏或为 UTF-16，请重新导出为 UTF-8。",
        "It may be damaged or UTF-16; export it again as UTF-8.",
    )


class RaggedRow(UnreadableFile):
    """行列不齐. A record with more or fewer fields than the header, or a broken quotation."""

    title = Words("某一行的字段数与表头不一致", "A row does not match the header")
    remedy = Words(
        "请检查该行的分隔符和引号；含分隔符或换行的值须加双引号。",
        "Check separators and quotes in that line; a value holding either needs double quotes.",
    )


class LongRecord(UnreadableFile):
    """记录过长. One record is larger than the limit, mostly a quotation that never ends."""

    status = 413
    title = Words("单条记录过长", "A record is too long")
    remedy = Words(
        "请检查是否缺少右引号，或拆分该字段。", "Look for a missing closing quote, or split the value."
    )


class DuplicateColumn(UnreadableFile):
    """列名重复. Two columns with one name (letter case does not tell names apart)."""

    title = Words("列名重复", "Duplicate column name")
    remedy = Words(
        "请为每一列取不同的名称（不区分大小写）。", "Give every column its own name (case is ignored)."
    )


class BadColumnName(UnreadableFile):
    """列名不可用. An empty, overlong or reserved column name, or one with control characters."""

    title = Words("列名为空或不可用", "Unusable column name")
    remedy = Words(
        "请在第一行写全列名；不得为空、不得含控制字符、不得为 _row。",
        "Name every column in the first line; not empty, no control characters, not _row.",
    )


class NoColumns(UnreadableFile):
    """没有列. The file is empty, or its first line is."""

    title = Words("文件没有列", "The file has no columns")
    remedy = Words("第一行必须是列名。", "The first line must hold the column names.")


class NoRows(UnreadableFile):
    """没有数据行. There is a header and nothing under it."""

    title = Words("文件没有数据行", "The file has no rows")
    remedy = Words("请至少提供一行数据。", "Provide at least one row of data.")


class TooManyColumns(UnreadableFile):
    """列数超限. More columns than the limit."""

    status = 413
    title = Words("列数超过上限", "Too many columns")
    remedy = Words("请拆分为多个文件，或改为“键—值”行。", "Split the file, or turn columns into rows.")


class OversizedWorkbook(UnreadableFile):
    """工作簿过大. The workbook unpacks to more than allowed, or is packed like a zip bomb."""

    status = 413
    title = Words("Excel 工作簿过大或压缩比异常", "Workbook too large or suspiciously packed")
    remedy = Words("请改用 CSV 或 Parquet 上传。", "Upload it as CSV or Parquet instead.")


class BrokenWorkbook(UnreadableFile):
    """工作簿损坏. Not a readable XLSX file."""

    title = Words("Excel 工作簿损坏或受密码保护", "Broken or protected workbook")
    remedy = Words(
        "请用表格软件打开并另存为 XLSX，或改用 CSV。", "Open and save it again as XLSX, or use CSV."
    )


class BrokenParquet(UnreadableFile):
    """Parquet 损坏. The file is cut short or damaged."""

    title = Words("Parquet 文件不完整或已损坏", "Truncated or damaged Parquet file")
    remedy = Words("请重新导出并完整上传。", "Export it again and upload it whole.")


class BadJson(UnreadableFile):
    """JSON 不合要求. Not JSON, or not a list of objects."""

    title = Words("JSON 不是对象数组", "Not JSON objects")
    remedy = Words(
        "请上传对象数组 [{…}, {…}]，或每行一个对象的 NDJSON。",
        "Upload an array of objects [{…}, {…}], or NDJSON with an object on each line.",
    )


class OutOfRoom(UnreadableFile):
    """资源不足. Reading or cleansing needs more memory or disk than one run may take."""

    status = 413
    title = Words("文件超出单次处理的内存或磁盘限额", "More memory or disk than one run may take")
    remedy = Words(
        "请拆分文件，或请管理员提高限额。", "Split the file, or ask an administrator for more room."
    )
