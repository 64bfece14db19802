#include "examples/segmentation/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "examples/segmentation/error.hpp"

namespace fs = std::filesystem;

namespace segment {
namespace {

/// The files that are replaced while a run goes on. What a killed run was writing has their name and a
/// suffix.
constexpr std::string_view replaced_files[] = {"checkpoint.safetensors", "model.safetensors", "model.json",
                                               "metrics.jsonl",          "prediction.nii.gz", "report.html"};

bool is_leftover(const std::string& name) {
  for (const std::string_view file : replaced_files) {
    if (name.starts_with(std::string(file) + ".")) return true;
  }
  return false;
}

std::string made(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(path, ": cannot be made a folder (", error.message(), "); give another --output");
  return path;
}

}  // namespace

FolderLock::FolderLock(const std::string& path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0)
    fail(path, ": cannot be opened (", std::strerror(errno),
         "); check its permissions or give another --output");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
    return;  // else not all systems can
  ::close(descriptor_);
  fail(path, ": another lucid-segment trains into it; wait for it or give another --output");
}

FolderLock::~FolderLock() { ::close(descriptor_); }

RunFolder::RunFolder(const std::string& path, bool resume) : path_(made(path)), lock_(path) {
  std::error_code error;
  std::string other;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (is_leftover(name)) {
      leftovers.push_back(entry.path());
    } else {
      other = name;
    }
  }
  if (error) fail(path, ": cannot be read (", error.message(), "); check its permissions");
  if (!resume && (!other.empty() || !leftovers.empty()))
    fail(path, ": is not empty; go on with --resume, or give another --output");
  if (resume && !other.empty() && !has_checkpoint())
    fail(path, ": holds ", other, " but no checkpoint.safetensors to resume; give another --output");
  for (const fs::path& leftover : leftovers) fs::remove(leftover, error);
}

bool RunFolder::has_checkpoint() const { return fs::exists(file("checkpoint.safetensors")); }

}  // namespace segment
