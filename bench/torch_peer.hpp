#pragma once
// Debian's PyTorch in a child process: bench/torch_peer.py.

#include <sys/types.h>
#include <cstdio>
#include <string>

#include "bench/case.hpp"
#include "bench/timing.hpp"

namespace bench {

class TorchPeer {
 public:
  struct Answer {
    double ms = 0;    ///< mean of a round
    double norm = 0;  ///< of the pass's result
  };

  /// Starts `python` on torch_peer.py. Throws lucid::Error when it does not come up.
  TorchPeer(const std::string& python, int threads);
  ~TorchPeer();
  TorchPeer(const TorchPeer&) = delete;
  TorchPeer& operator=(const TorchPeer&) = delete;

  /// "1.13.0 on openblas-openmp/libblas.so.3"
  const std::string& version() const { return version_; }
  /// One round. Throws lucid::Error when the child fails.
  Answer measure(const ConvCase& shape, Pass pass, const RepeatRule& rule);

 private:
  nlohmann::json read_line();
  void close();

  pid_t child_ = -1;
  std::FILE* requests_ = nullptr;
  std::FILE* answers_ = nullptr;
  std::string version_;
};

}  // namespace bench
