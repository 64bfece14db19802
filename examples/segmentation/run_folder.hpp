#pragma once

#include <string>

namespace segment {

/// While alive, other FolderLocks on the same folder raise InputError, in any process.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// The folder that a training run writes to; one program at a time owns it.
class RunFolder {
 public:
  /// Makes the folder. Raises InputError when it cannot be a folder, is in use, or: without `resume`, is not
  /// empty; with `resume`, holds other things but no checkpoint.
  RunFolder(const std::string& path, bool resume);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// There is a checkpoint.safetensors to go on from.
  bool has_checkpoint() const;

 private:
  std::string path_;
  FolderLock lock_;
};

}  // namespace segment
