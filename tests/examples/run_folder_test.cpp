#include "examples/segmentation/run_folder.hpp"

#include "tests/examples/support.hpp"

using namespace segment;
using support::error_of;
using support::TempDir;

namespace {

std::string open_error(const std::string& path, bool resume) {
  return error_of([&] { RunFolder(path, resume); });
}

}  // namespace

TEST_CASE("run folder: made when missing, refused when it would be overwritten") {
  const TempDir dir;
  const std::string path = dir / "a/b";
  CHECK(open_error(path, false).empty());
  CHECK(open_error(path, false).empty());  // empty
  support::write_bytes(path + "/notes", "x");
  CHECK_ERROR(open_error(path, false), path, "is not empty", "--resume", "another --output");
  CHECK_ERROR(open_error(path, true), path, "holds notes but no checkpoint.safetensors");
  support::write_bytes(path + "/checkpoint.safetensors", "x");
  CHECK(open_error(path, true).empty());
  CHECK_ERROR(open_error(path, false), "is not empty");
  CHECK_ERROR(open_error(path + "/notes", false), "notes: cannot be made a folder");
  CHECK_ERROR(open_error(path + "/notes/c", false), "cannot be made a folder");
  CHECK(support::read_bytes(path + "/notes") == "x");
}

TEST_CASE("run folder: what a killed run was writing is swept away when it goes on") {
  const TempDir dir;
  support::write_bytes(dir / "checkpoint.safetensors", "x");
  support::write_bytes(dir / "checkpoint.safetensors.Ab12Cd", "half");
  support::write_bytes(dir / "metrics.jsonl.tmp77", "half");
  support::write_bytes(dir / "mine.safetensors.Ab12Cd", "whole");
  CHECK(open_error(dir / "", true).empty());
  CHECK(dir.file_count() == 2);
  CHECK(support::read_bytes(dir / "mine.safetensors.Ab12Cd") == "whole");
}

TEST_CASE("run folder: killed before the first checkpoint was whole, a run starts again") {
  const TempDir dir;
  support::write_bytes(dir / "checkpoint.safetensors.Ab12Cd", "half");
  CHECK_ERROR(open_error(dir / "", false), "is not empty");
  CHECK_FALSE(RunFolder(dir / "", true).has_checkpoint());
}

TEST_CASE("run folder: one run at a time") {
  const TempDir dir;
  {
    const RunFolder first(dir / "run", false);
    CHECK_ERROR(open_error(dir / "run", false), "another lucid-segment trains into it");
  }
  CHECK(open_error(dir / "run", false).empty());
}
