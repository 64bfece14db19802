#pragma once
// Files that appear whole or not at all.

#include <cstdint>
#include <string>

namespace lucid {

/// Writes to a temporary file beside `path`; commit() makes it durable and gives it its name. Without
/// commit() the temporary file is removed and whatever stood at `path` stays. Throws IoError naming the path.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::int64_t bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace lucid
