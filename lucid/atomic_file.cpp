#include "lucid/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "lucid/error.hpp"

namespace lucid {

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(path + ".XXXXXX") {
  descriptor_ = mkostemp(temporary_.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail("can't be created");
  // mkostemp makes the file private; it shall have the permissions of any other new file.
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(descriptor_, 0666 & ~mask);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
    unlink(temporary_.c_str());
  }
}

void AtomicFile::fail(const char* what) const {
  throw IoError(str(path_, ": ", what, ": ", static_cast<const char*>(std::strerror(errno))));
}

void AtomicFile::write(const void* data, std::int64_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    constexpr std::int64_t kLargest = 1 << 30;
    const ssize_t done = ::write(descriptor_, from, static_cast<std::size_t>(std::min(bytes, kLargest)));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("can't be written");
    from += done;
    bytes -= done;
  }
}

void AtomicFile::commit() {
  if (fsync(descriptor_) != 0) fail("can't be written");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("can't be put in place");
  close(descriptor_);
  descriptor_ = -1;
  // The new name lives in the folder, which has to reach the disk too; not every file system can do that.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int handle = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) return;
  fsync(handle);
  close(handle);
}

}  // namespace lucid
