#pragma once
// A number of threads for a scope.

#include "lucid/parallel.hpp"

class Threads {
 public:
  explicit Threads(int count) : before_(lucid::num_threads()) { lucid::set_num_threads(count); }
  ~Threads() { lucid::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};
