#include "lucid/named_tensors.hpp"

namespace lucid {

NamedTensors::NamedTensors(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) add(entry.first, entry.second);
}

void NamedTensors::add(std::string name, Tensor tensor) {
  const bool fresh = positions_.try_emplace(name, entries_.size()).second;
  check(fresh, "NamedTensors", "the name \"", name, "\" is given twice");
  entries_.emplace_back(std::move(name), std::move(tensor));
}

const Tensor* NamedTensors::find(std::string_view name) const {
  const auto found = positions_.find(name);
  return found == positions_.end() ? nullptr : &entries_[found->second].second;
}

const Tensor& NamedTensors::at(std::string_view name) const {
  const Tensor* found = find(name);
  check(found != nullptr, "NamedTensors", "there is no tensor \"", name, "\" among ", size());
  return *found;
}

}  // namespace lucid
